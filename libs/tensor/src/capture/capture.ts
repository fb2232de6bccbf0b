import * as tf from '@tensorflow/tfjs';
import { type Program, readSpecs, type Specs, type TensorSpec } from '../engine.js';
import { TensorError } from '../errors.js';
import type { Graph, GraphValue } from '../onnx/graph.js';
import { type Effect, listEffects } from '../workspace/effects.js';
import { graphValue, onnxType, recorded, recording } from './backend.js';
import './kernels/elementwise.js';
import './kernels/fused.js';
import './kernels/gather.js';
import './kernels/matmul.js';
import './kernels/reduce.js';
import './kernels/shape.js';

/** A program as a graph. */
export interface Trace {
  readonly graph: Graph;
  readonly state: Readonly<Record<string, GraphValue>>;
  readonly inputs: Readonly<Record<string, GraphValue>>;
  readonly effects: readonly TracedEffect[];
}

/** Indices of rows that are those of another tensor's, too, are one output of the graph: every output is copied. */
export interface TracedEffect extends Effect {
  readonly value: GraphValue;
  /** Index among the outputs of the graph. */
  readonly output: number;
}

export interface TraceOptions {
  readonly frozen?: ReadonlySet<string>;
  /** Kernels that the host has loops for are recorded by their name. Such a graph is no ONNX model. */
  readonly hostKernels?: boolean;
}

/**
 * Records a program for inputs and state of given shapes.
 * @throws TensorError TENSOR_UNSUPPORTED_OP naming the op that has no mapping; TENSOR_VALUE_DURING_CAPTURE when
 *   the program reads a value; TENSOR_UNSUPPORTED_DTYPE, TENSOR_BAD_OUTPUT when an effect is none the state can have.
 */
export function trace(
  { inputs, reads, first, run }: Pick<Program, 'inputs' | 'reads' | 'first' | 'run'>,
  state: Specs,
  { frozen = new Set(), hostKernels = false }: TraceOptions = {},
): Trace {
  return recording({ hostKernels }, (graph) =>
    scoped(() => {
      const values: Record<'state' | 'inputs', Record<string, GraphValue>> = { state: {}, inputs: {} };
      const tensor = (kind: 'state' | 'inputs', name: string, { dtype, shape }: TensorSpec) => {
        const value = graph.input(onnxType(dtype), shape);
        values[kind][name] = value;
        return [name, tf.engine().makeTensorFromTensorInfo(recorded(value, dtype))] as const;
      };
      const given = readSpecs({ reads, ...(first && { first }) }, state);
      const stateTensors = Object.fromEntries(reads.map((name) => tensor('state', name, given[name]!)));
      const inputTensors = Object.fromEntries(
        Object.entries(inputs).map(([name, spec]) => tensor('inputs', name, spec)),
      );
      const listed = listEffects(
        namingMissingOps(() => run(stateTensors, inputTensors)),
        state,
        frozen,
      );
      const indices = new Map<GraphValue, number>();
      const effects = listed.map(({ tensor, ...effect }): TracedEffect => {
        const value = graphValue(tensor);
        const known = effect.kind === 'indices' ? indices.get(value) : undefined;
        const output = known ?? graph.output(value);
        if (effect.kind === 'indices') indices.set(value, output);
        return { ...effect, value, output };
      });
      return { graph, ...values, effects };
    }),
  );
}

/** Runs `work` and disposes of every tensor that it made. */
function scoped<T>(work: () => T): T {
  let result: T;
  tf.tidy(() => {
    result = work();
  });
  return result!;
}

function namingMissingOps<T>(work: () => T): T {
  try {
    return work();
  } catch (cause) {
    const missing = /Kernel '(\w+)' not registered/.exec(cause instanceof Error ? cause.message : '');
    if (!missing) throw cause;
    throw new TensorError(
      'TENSOR_UNSUPPORTED_OP',
      `the op ${missing[1]} has no ONNX mapping: add one in libs/tensor/src/capture/kernels`,
      { cause },
    );
  }
}
