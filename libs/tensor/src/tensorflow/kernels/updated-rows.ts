import { asTensor } from '../../capture/recording.js';
import { sizeOf } from '../../engine.js';
import { recordKernel } from '../../kernels/kernel.js';
import { CAPTURE, current, graphValue } from '../backend.js';
import { type GraphValue, typeOf } from '../graph.js';
import { cast, reshape } from '../operators.js';
import type { NodeType } from '../schema.js';
import { emitValue, typed } from './register.js';

/**
 * `InplaceUpdate` writes to the memory of its operand, a variable that was read, and its result is that memory: nothing is
 * copied. `ResourceScatterNdUpdate` would have TensorFlow copy the variable whenever it is read from then on.
 */
recordKernel(CAPTURE, 'UpdatedRows', ({ tensor, indices, updates }) => {
  // XLA has no InplaceUpdate: it would compile a program in pieces, which takes longer than to copy the tensor.
  const { graph, xla } = current();
  if (xla) return undefined;
  const { shape, dtype } = tensor!;
  const depth = indices!.shape[1]!;
  const rows = [sizeOf(shape.slice(0, depth)), sizeOf(shape.slice(depth))];
  const taken = indices!.shape[0]!;
  const inputs = [
    reshape(graph, graphValue(tensor!), rows),
    flatIndices(graphValue(indices!), shape.slice(0, depth)),
    reshape(graph, graphValue(updates!), [taken, rows[1]!]),
  ];
  const updated = emitValue('InplaceUpdate', inputs, rows, dtype as NodeType, typed(tensor!));
  return { updated: asTensor(reshape(graph, updated, shape), dtype) };
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
  const columns = cast(graph, indices, 'float64');
  const flat = emitValue('MatMul', [columns, graph.constant('float64', [k, 1], strides)], [N, 1], 'float64', {
    T: typeOf('float64'),
    transpose_a: { b: false },
    transpose_b: { b: false },
  });
  return cast(graph, reshape(graph, flat, [N]), 'int32');
}
