import * as tf from '@tensorflow/tfjs';
import { currentGraph, graphValue } from '../backend.js';
import { axisOf, recorded, recordedType } from '../recording.js';
import { emit, mapKernel } from './register.js';

const reshape = (x: tf.TensorInfo, shape: readonly number[]) =>
  shape.length === x.shape.length && shape.every((dim, i) => dim === x.shape[i])
    ? recorded(graphValue(x), x.dtype)
    : emit('Reshape', [x, currentGraph().int64s(shape)], shape, x.dtype);

mapKernel('Reshape', ({ inputs: { x }, attrs: { shape } }) =>
  reshape(x!, tf.util.inferFromImplicitShape(shape, tf.util.sizeFromShape(x!.shape))),
);

mapKernel('ExpandDims', ({ inputs: { input }, attrs: { dim } }) => {
  const shape = input!.shape.slice();
  shape.splice(axisOf(dim, shape.length + 1), 0, 1);
  return reshape(input!, shape);
});

mapKernel('Transpose', ({ inputs: { x }, attrs: { perm } }) =>
  emit(
    'Transpose',
    [x!],
    (perm as number[]).map((axis) => x!.shape[axis]!),
    x!.dtype,
    { attributes: { perm: { ints: perm } } },
  ),
);

const slice = (x: tf.TensorInfo, begin: readonly number[], size: readonly number[]) => {
  const graph = currentGraph();
  const end = begin.map((b, i) => b + size[i]!);
  return emit('Slice', [x, graph.int64s(begin), graph.int64s(end)], size, x.dtype);
};

mapKernel('Slice', ({ inputs: { x }, attrs: { begin, size } }) => {
  const [start, extent] = tf.slice_util.parseSliceParams(x as tf.Tensor, begin, size);
  return slice(x!, start!, extent!);
});

mapKernel('SplitV', ({ inputs: { x }, attrs: { numOrSizeSplits, axis } }) => {
  const graph = currentGraph();
  const along = axisOf(axis, x!.shape.length);
  const sizes: number[] = tf.backend_util.prepareSplitSize(x as tf.Tensor, numOrSizeSplits, along);
  const shapes = sizes.map((size) => x!.shape.with(along, size));
  const attributes = { axis: { int: along } };
  return graph
    .nodes('Split', [graphValue(x!), graph.int64s(sizes)], recordedType(x!.dtype), shapes, { attributes })
    .map((part) => recorded(part, x!.dtype));
});

mapKernel('Concat', ({ inputs, attrs: { axis } }) => {
  const parts = Object.values(inputs);
  const first = parts[0]!;
  const along = axisOf(axis, first.shape.length);
  const shape = first.shape.slice();
  shape[along] = parts.reduce((sum, part) => sum + part.shape[along]!, 0);
  return emit('Concat', parts, shape, first.dtype, { attributes: { axis: { int: along } } });
});

mapKernel('Pack', ({ inputs, attrs: { axis } }) => {
  const parts = Object.values(inputs);
  const first = parts[0]!;
  const along = axisOf(axis, first.shape.length + 1);
  const unit = first.shape.toSpliced(along, 0, 1);
  const shape = first.shape.toSpliced(along, 0, parts.length);
  return emit(
    'Concat',
    parts.map((part) => reshape(part, unit)),
    shape,
    first.dtype,
    { attributes: { axis: { int: along } } },
  );
});

mapKernel('Unpack', ({ inputs: { value }, attrs: { axis } }) => {
  const along = axisOf(axis, value!.shape.length);
  const size = value!.shape.with(along, 1);
  const shape = value!.shape.toSpliced(along, 1);
  return Array.from({ length: value!.shape[along]! }, (_, i) =>
    reshape(
      slice(
        value!,
        value!.shape.map((_, axis) => (axis === along ? i : 0)),
        size,
      ),
      shape,
    ),
  );
});

mapKernel('PadV2', ({ inputs: { x }, attrs: { paddings, constantValue } }) => {
  const graph = currentGraph();
  const pads = paddings as [number, number][];
  const amounts = graph.int64s([...pads.map(([before]) => before), ...pads.map(([, after]) => after)]);
  const shape = x!.shape.map((dim, i) => dim + pads[i]![0] + pads[i]![1]);
  return emit('Pad', [x!, amounts, constantLike(x!.dtype, constantValue)], shape, x!.dtype);
});

mapKernel('Tile', ({ inputs: { x }, attrs: { reps } }) =>
  emit(
    'Tile',
    [x!, currentGraph().int64s(reps)],
    x!.shape.map((dim, i) => dim * reps[i]),
    x!.dtype,
  ),
);

mapKernel('BroadcastTo', ({ inputs: { x }, attrs: { shape } }) => expand(x!, shape));

mapKernel('Fill', ({ attrs: { shape, value, dtype } }) => filled(shape, value, dtype ?? 'float32'));
mapKernel('ZerosLike', ({ inputs: { x } }) => filled(x!.shape, 0, x!.dtype));
mapKernel('OnesLike', ({ inputs: { x } }) => filled(x!.shape, 1, x!.dtype));

const expand = (x: tf.TensorInfo, shape: readonly number[]) =>
  emit('Expand', [x, currentGraph().int64s(shape)], shape, x.dtype);

const filled = (shape: readonly number[], value: number, dtype: tf.DataType) =>
  expand(recorded(constantLike(dtype, value), dtype), shape);

const constantLike = (dtype: tf.DataType, value: number) => {
  const graph = currentGraph();
  if (dtype === 'bool') return graph.constant('bool', [], Uint8Array.of(value));
  if (dtype === 'int32') return graph.constant('int32', [], Int32Array.of(value));
  return graph.scalar(value);
};

mapKernel('Range', ({ attrs: { start, stop, step, dtype } }) => {
  const length = Math.max(0, Math.ceil((stop - start) / step));
  const values = Array.from({ length }, (_, i) => start + i * step);
  return recorded(
    dtype === 'int32'
      ? currentGraph().constant('int32', [length], Int32Array.from(values))
      : currentGraph().constant('float32', [length], Float32Array.from(values)),
    dtype,
  );
});
