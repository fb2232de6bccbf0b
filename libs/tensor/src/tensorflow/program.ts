/** Programs as parts of a graph: they read variables, and what they do to the state is done to those. */
import { recordProgram } from '../capture/recording.js';
import type { DType, Program, Specs } from '../engine.js';
import { type Precision, recordingTo } from './backend.js';
import { type Graph, type GraphValue, typeOf, type Variable } from './graph.js';
import './kernels/elementwise.js';
import './kernels/gather.js';
import './kernels/matmul.js';
import './kernels/reduce.js';
import './kernels/rotary-embedding.js';
import './kernels/shape.js';
import './kernels/updated-rows.js';
import { slice } from './operators.js';
import { assign, fedValue, type Placeholder, readVariable } from './variables.js';

/** A program in a graph. */
export interface GraphProgram {
  readonly feeds: Readonly<Record<string, Placeholder>>;
  readonly outputs: Readonly<Record<string, GraphValue>>;
  /** What changes each tensor of the state that it changes. */
  readonly effects: Readonly<Record<string, GraphValue>>;
}

export interface ProgramOptions {
  readonly state: Specs;
  readonly frozen: ReadonlySet<string>;
  readonly variables: Readonly<Record<string, Variable<DType>>>;
  readonly precision: Precision;
  readonly xla: boolean;
  /** The rounded copy of a tensor of the state that the program may read in its place. */
  readonly roundedCopy: (name: string) => Variable | undefined;
}

export function addProgram(graph: Graph, program: Program, options: ProgramOptions): GraphProgram {
  const { state, frozen, variables, precision, xla } = options;
  const feeds: Record<string, Placeholder> = {};
  const reads = new Map<GraphValue, string>();
  const rounded = new Map<string, GraphValue>();
  /** A rounded copy takes the place of a whole tensor: of one that is read where it is used. */
  const roundedOf = (value: GraphValue): GraphValue | undefined => {
    const name = reads.get(value);
    const copy = name === undefined ? undefined : options.roundedCopy(name);
    if (name === undefined || !copy) return undefined;
    const read = rounded.get(name) ?? readVariable(graph, copy);
    rounded.set(name, read);
    return read;
  };
  const recording = { graph, precision, xla, rounded: roundedOf };
  const effects = recordingTo(recording, () =>
    recordProgram(program, state, frozen, (kind, name, spec) => {
      if (kind === 'inputs') {
        const { fed, value } = fedValue(graph, spec);
        feeds[name] = fed;
        return value;
      }
      const value = readVariable(graph, variables[name]!);
      reads.set(value, name);
      if (spec.shape[0] === value.shape[0]) return value;
      const start = spec.shape.map(() => 0);
      return slice(graph, value, start, spec.shape);
    }),
  );

  const values = effects.map(({ value }) => value);
  // What is read and not used must not be read: a variable that somebody else holds is copied before it is written to.
  const used = [...reads.keys(), ...rounded.values()].filter(
    (read) => graph.takes(read) || values.includes(read),
  );
  // A call that fails changes nothing: what is written is written when everything is computed.
  const computed = graph.node('NoOp', [], 'resource', [], {}, [...used, ...values]);
  // What depends on its own place alone need not wait for the rest, so that it is not all in memory at a time.
  const read = graph.node('NoOp', [], 'resource', [], {}, used);
  const updates = new Map(
    effects.flatMap(({ kind, name, value }) => (kind === 'updates' ? [[name, value]] : [])),
  );
  const written: Record<string, GraphValue> = {};
  for (const { kind, name, value } of effects) {
    const variable = variables[name]!;
    if (kind === 'indices')
      written[name] = graph.node(
        'ResourceScatterNdUpdate',
        [variable.handle, value, updates.get(name)!],
        variable.spec.dtype,
        [],
        { T: typeOf(variable.spec.dtype), Tindices: typeOf('int32') },
        [computed],
      );
  }
  // Rows come first: of all that is written they alone can fail, where they lie outside of their tensor.
  const rows = Object.values(written);
  for (const { kind, name, value } of effects) {
    const variable = variables[name]!;
    if (kind === 'next') {
      const ready = program.inPlace?.includes(name) ? read : computed;
      written[name] = assign(graph, variable, value, [ready, ...rows]);
    }
    if (kind === 'added')
      written[name] = graph.node(
        'AssignAddVariableOp',
        [variable.handle, value],
        value.type,
        [],
        { dtype: typeOf(value.type) },
        [computed, ...rows],
      );
  }
  return {
    feeds,
    outputs: Object.fromEntries(
      effects.flatMap(({ kind, name, value }) => (kind === 'outputs' ? [[name, value]] : [])),
    ),
    effects: written,
  };
}
