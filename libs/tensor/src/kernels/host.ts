/** Programs that are nothing but kernels the host has loops for are recorded as plans. */

import { CAPTURE, currentGraph, graphValue, recordsHostKernels } from '../capture/backend.js';
import type { Trace } from '../capture/capture.js';
import { asTensor } from '../capture/recording.js';
import type { GraphNode, GraphValue } from '../onnx/graph.js';
import { ADAMW } from './adamw.js';
import { recordKernel } from './kernel.js';
import { type AdamWStep, type HostPlan, SCALARS, type Scalar, UPDATED, VECTORS } from './plan.js';
import { SUM_OF_SQUARES } from './sum-of-squares.js';

const HOST = 'rlhf-streams';

recordKernel(CAPTURE, ADAMW, (inputs, attributes) => {
  if (!recordsHostKernels()) return undefined;
  const { shape } = inputs.p!;
  const values = currentGraph().nodes(
    ADAMW,
    [...VECTORS, ...SCALARS].map((name) => graphValue(inputs[name]!)),
    'float32',
    UPDATED.map(() => shape),
    {
      domain: HOST,
      attributes: Object.fromEntries(Object.entries(attributes).map(([name, float]) => [name, { float }])),
    },
  );
  return Object.fromEntries(UPDATED.map((name, i) => [name, asTensor(values[i]!, 'float32')]));
});

recordKernel(CAPTURE, SUM_OF_SQUARES, (inputs) => {
  if (!recordsHostKernels()) return undefined;
  const values = Object.values(inputs).map(graphValue);
  return {
    sum: asTensor(currentGraph().node(SUM_OF_SQUARES, values, 'float32', [], { domain: HOST }), 'float32'),
  };
});

export const usesHostKernels = ({ graph }: Trace): boolean =>
  graph.live.some(({ options }) => options.domain === HOST);

/** The plan of a program recorded with `hostKernels`; none when the program does anything else. */
export function hostPlan({ graph, state, inputs, effects }: Trace): HostPlan | undefined {
  const stateOf = new Map(Object.entries(state).map(([name, value]) => [value, name]));
  const inputOf = new Map(Object.entries(inputs).map(([name, value]) => [value, name]));
  const producer = new Map<GraphValue, GraphNode>();
  for (const node of graph.live) for (const value of node.outputs) producer.set(value, node);
  if ([...producer.values()].some((node) => node.options.domain !== HOST && !isZero(node))) return undefined;

  const scalar = (value: GraphValue): Scalar | undefined => {
    const input = inputOf.get(value);
    if (input !== undefined && value.shape.length === 0) return { input };
    return value.scalar === undefined ? undefined : { constant: value.scalar };
  };
  const adamW: AdamWStep[] = [];
  const squares: { output: string; tensors: string[] }[] = [];
  const zeros: string[] = [];
  const written = new Map<GraphNode, number>();
  for (const { kind, name, value } of effects) {
    const node = producer.get(value);
    if (kind === 'outputs' && node?.op === SUM_OF_SQUARES) {
      const tensors = namesOf(node.inputs, stateOf);
      if (!tensors) return undefined;
      squares.push({ output: name, tensors });
    } else if (kind === 'next' && node && isZero(node)) zeros.push(name);
    else if (kind === 'next' && node?.op === ADAMW) {
      const output = UPDATED[node.outputs.indexOf(value)]!;
      // Each result replaces the tensor it comes from: then it can be computed in its place.
      if (stateOf.get(node.inputs[VECTORS.indexOf(output)]!) !== name) return undefined;
      written.set(node, (written.get(node) ?? 0) + 1);
    } else return undefined;
  }
  for (const [node, count] of written) {
    const tensors = namesOf(node.inputs.slice(0, VECTORS.length), stateOf);
    const scalars = node.inputs.slice(VECTORS.length).map(scalar);
    const sameShape = node.inputs
      .slice(0, VECTORS.length)
      .every(({ shape }) => `${shape}` === `${node.outputs[0]!.shape}`);
    if (count !== UPDATED.length || !tensors || !sameShape || scalars.includes(undefined)) return undefined;
    adamW.push({
      tensors: Object.fromEntries(VECTORS.map((name, i) => [name, tensors[i]])) as AdamWStep['tensors'],
      scalars: Object.fromEntries(SCALARS.map((name, i) => [name, scalars[i]])) as AdamWStep['scalars'],
      numbers: Object.fromEntries(
        Object.entries(node.options.attributes!).map(([name, value]) => [
          name,
          (value as { float: number }).float,
        ]),
      ) as AdamWStep['numbers'],
    });
  }
  // What is written in place must be read by nothing else.
  const updated = new Set(adamW.flatMap(({ tensors: { p, m, v } }) => [p, m, v]));
  const read = [...adamW.map(({ tensors }) => tensors.g), ...squares.flatMap(({ tensors }) => tensors)];
  return read.some((name) => updated.has(name)) ? undefined : { adamW, squares, zeros };
}

const isZero = ({ op, inputs }: GraphNode): boolean => op === 'Expand' && inputs[0]!.scalar === 0;

function namesOf(
  values: readonly GraphValue[],
  names: ReadonlyMap<GraphValue, string>,
): string[] | undefined {
  const found = values.map((value) => names.get(value));
  return found.includes(undefined) ? undefined : (found as string[]);
}
