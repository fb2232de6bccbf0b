import { asTensor } from '../../capture/recording.js';
import { sizeOf } from '../../engine.js';
import { recordKernel } from '../../kernels/kernel.js';
import { CAPTURE, current, graphValue } from '../backend.js';
import { type GraphValue, typeOf } from '../graph.js';
import type { NodeType } from '../schema.js';
import { emitValue, reshaped, typed } from './register.js';

/**
 * `InplaceUpdate` writes to the memory of its operand, a variable that was read, and its result is that memory: nothing is
 * copied. `ResourceScatterNdUpdate` would have TensorFlow copy the variable whenever it is read from then on.
 */
recordKernel(CAPTURE, 'UpdatedRows', ({ tensor, indices, updates }) => {
  // XLA has no InplaceUpdate: it would compile a program in pieces, which takes longer than to copy the tensor.
  if (current().xla) return undefined;
  const { shape, dtype } = tensor!;
  const depth = indices!.shape[1]!;
  const rows = [sizeOf(shape.slice(0, depth)), sizeOf(shape.slice(depth))];
  const taken = indices!.shape[0]!;
  const inputs = [
    reshaped(graphValue(tensor!), rows),
    flatIndices(graphValue(indices!), shape.slice(0, depth)),
    reshaped(graphValue(updates!), [taken, rows[1]!]),
  ];
  const updated = emitValue('InplaceUpdate', inputs, rows, dtype as NodeType, typed(tensor!));
  return { updated: asTensor(reshaped(updated, shape), dtype) };
});

/** Those of an index are the same for all tensors of a shape, as the caches of the layers are. */
const known = new WeakMap<GraphValue, Map<string, GraphValue>>();

/**
 * Indices [N, k] into dimensions as indices [N] of rows, int32. They are exact in float64, in which TensorFlow computes on a
 * GPU: with int32 it computes on the host.
 */
function flatIndices(indices: GraphValue, dimensions: readonly number[]): GraphValue {
  const ofIndices = known.get(indices) ?? new Map<string, GraphValue>();
  known.set(indices, ofIndices);
  const flat = ofIndices.get(`${dimensions}`) ?? flatten(indices, dimensions);
  ofIndices.set(`${dimensions}`, flat);
  return flat;
}

function flatten(indices: GraphValue, dimensions: readonly number[]): GraphValue {
  const { graph } = current();
  const [N, k] = indices.shape as [number, number];
  const strides = Float64Array.from(dimensions, (_, i) => sizeOf(dimensions.slice(i + 1)));
  const double = typeOf('float64');
  const columns = emitValue('Cast', [indices], [N, k], 'float64', { SrcT: typeOf('int32'), DstT: double });
  const flat = emitValue('MatMul', [columns, graph.constant('float64', [k, 1], strides)], [N, 1], 'float64', {
    T: double,
    transpose_a: { b: false },
    transpose_b: { b: false },
  });
  return emitValue('Cast', [reshaped(flat, [N])], [N], 'int32', { SrcT: double, DstT: typeOf('int32') });
}
