/** The state as variables of a graph: how they are loaded, read and set to 0. */
import { type DType, sizeOf, type TensorSpec, type TypedBuffer } from '../engine.js';
import type { Fed } from './binding.js';
import { type Graph, type GraphValue, shapeProto, typeOf, type Variable } from './graph.js';
import { cast, fill } from './operators.js';

/** Where numbers of a tensor are fed. */
export interface Placeholder {
  readonly placeholder: string;
  readonly shape: readonly number[];
}

/**
 * A placeholder, and its value. Floats are fed as the integers of the same bits: tfjs-node would take other types to the
 * GPU, back to the host and to the GPU again.
 */
export function fedValue(
  graph: Graph,
  { dtype, shape }: TensorSpec,
): { readonly fed: Placeholder; readonly value: GraphValue } {
  const integers = graph.node('Placeholder', [], 'int32', shape, {
    dtype: typeOf('int32'),
    shape: { shape: shapeProto(shape) },
  });
  const value =
    dtype === 'int32'
      ? // TensorFlow refuses to give back what it is fed.
        graph.node('Identity', [integers], 'int32', shape, { T: typeOf('int32') })
      : graph.node('Bitcast', [integers], dtype, shape, { T: typeOf('int32'), type: typeOf(dtype) });
  return { fed: { placeholder: integers.name, shape }, value };
}

/**
 * Memory that lies at no multiple of 8 bytes, so that TensorFlow copies it when it is fed. What lies at a multiple of 64 it
 * would use where it is, and let go of in a thread of its own, where no memory of Node's may be touched.
 */
export function unaligned({ dtype, shape }: TensorSpec): TypedBuffer {
  const size = sizeOf(shape);
  const memory = new ArrayBuffer(4 * (size + 1));
  return dtype === 'int32' ? new Int32Array(memory, 4, size) : new Float32Array(memory, 4, size);
}

/** Numbers as they are fed: the buffer may be changed once the run has ended, whatever has become of them. */
export function feed({ placeholder, shape }: Placeholder, buffer: TypedBuffer): Fed {
  const isUnaligned = buffer.byteOffset % 8 === 4 && !(buffer.buffer instanceof SharedArrayBuffer);
  const integers = new Int32Array(buffer.buffer, buffer.byteOffset, buffer.length);
  if (isUnaligned) return { placeholder, shape, numbers: integers };
  const numbers = unaligned({ dtype: 'int32', shape }) as Int32Array;
  numbers.set(integers);
  return { placeholder, shape, numbers };
}

export const readVariable = (
  graph: Graph,
  { handle, spec }: Variable,
  after: readonly GraphValue[] = [],
): GraphValue =>
  graph.node('ReadVariableOp', [handle], spec.dtype, spec.shape, { dtype: typeOf(spec.dtype) }, after);

/** What changes a variable, which has no result: to be waited for. */
export const assign = (
  graph: Graph,
  { handle, spec }: Variable,
  value: GraphValue,
  after: readonly GraphValue[] = [],
): GraphValue =>
  graph.node('AssignVariableOp', [handle, value], spec.dtype, [], { dtype: typeOf(spec.dtype) }, after);

/** What is fetched to have nodes run that have no results. */
export const doneAfter = (graph: Graph, after: readonly GraphValue[]): GraphValue =>
  graph.node('Identity', [graph.int(1)], 'int32', [], { T: typeOf('int32') }, after);

/** A tensor of the state rounded to bfloat16, beside it. */
export interface RoundedCopy {
  readonly variable: Variable;
  /** Makes it that of the tensor as it is after some nodes. */
  refreshed(after: readonly GraphValue[]): GraphValue;
}

export function roundedCopy(graph: Graph, of: Variable): RoundedCopy {
  const variable = graph.variable({ ...of.spec, dtype: 'bfloat16' });
  return {
    variable,
    refreshed(after) {
      return assign(graph, variable, cast(graph, readVariable(graph, of, after), 'bfloat16'));
    },
  };
}

/** How the host gets at a variable. */
export interface Access {
  readonly spec: TensorSpec;
  readonly load: Placeholder & { readonly done: string };
  readonly read: string;
  /** Is fed the scalar 0. */
  readonly setZero: Placeholder & { readonly done: string };
  /** Frees its memory. */
  readonly destroy: string;
}

export function accessTo(graph: Graph, variable: Variable<DType>, copy: RoundedCopy | undefined): Access {
  const { spec, handle } = variable;
  const { fed, value } = fedValue(graph, spec);
  const assigned = (value: GraphValue) => {
    const node = assign(graph, variable, value);
    return doneAfter(graph, copy ? [copy.refreshed([node])] : [node]).name;
  };
  // Zeros that TensorFlow knows to be equal would be one tensor, of which variables are not to be parts.
  const zero = fedValue(graph, { dtype: spec.dtype, shape: [] });
  const zeros = fill(graph, spec.shape, zero.value);
  const handles = [handle, ...(copy ? [copy.variable.handle] : [])];
  const destroyed = handles.map((each) =>
    graph.node('DestroyResourceOp', [each], 'resource', [], { ignore_lookup_error: { b: true } }),
  );
  return {
    spec,
    load: { ...fed, done: assigned(value) },
    read: readVariable(graph, variable).name,
    setZero: { ...zero.fed, done: assigned(zeros) },
    destroy: doneAfter(graph, destroyed).name,
  };
}
