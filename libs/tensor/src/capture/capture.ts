import type { Program, Specs } from '../engine.js';
import type { Graph, GraphValue } from '../onnx/graph.js';
import type { Effect } from '../workspace/effects.js';
import { recording } from './backend.js';
import './kernels/elementwise.js';
import './kernels/fused.js';
import './kernels/gather.js';
import './kernels/matmul.js';
import './kernels/reduce.js';
import './kernels/shape.js';
import { recordedType, recordProgram } from './recording.js';

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

/** Records a program for inputs and state of given shapes. @throws as `recordProgram` */
export function trace(
  program: Pick<Program, 'inputs' | 'reads' | 'first' | 'run'>,
  state: Specs,
  { frozen = new Set(), hostKernels = false }: TraceOptions = {},
): Trace {
  return recording({ hostKernels }, (graph) => {
    const values: Record<'state' | 'inputs', Record<string, GraphValue>> = { state: {}, inputs: {} };
    const listed = recordProgram(program, state, frozen, (kind, name, { dtype, shape }) => {
      const value = graph.input(recordedType(dtype), shape);
      values[kind][name] = value;
      return value;
    });
    const indices = new Map<GraphValue, number>();
    const effects = listed.map((effect): TracedEffect => {
      const { value } = effect;
      const known = effect.kind === 'indices' ? indices.get(value) : undefined;
      const output = known ?? graph.output(value);
      if (effect.kind === 'indices') indices.set(value, output);
      return { ...effect, output };
    });
    return { graph, ...values, effects };
  });
}
