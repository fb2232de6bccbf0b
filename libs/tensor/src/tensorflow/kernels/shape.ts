import * as tf from '@tensorflow/tfjs';
import { axisOf, recorded, recordedType } from '../../capture/recording.js';
import { current, graphValue } from '../backend.js';
import { typeOf } from '../graph.js';
import { fill, reshape, slice } from '../operators.js';
import { constantLike, emit, mapKernel, typed } from './register.js';

const int32 = typeOf('int32');

const reshaped = (x: tf.TensorInfo, shape: readonly number[]) =>
  recorded(reshape(current().graph, graphValue(x), shape), x.dtype);

mapKernel('Reshape', ({ inputs: { x }, attrs: { shape } }) =>
  reshaped(x!, tf.util.inferFromImplicitShape(shape, tf.util.sizeFromShape(x!.shape))),
);

mapKernel('ExpandDims', ({ inputs: { input }, attrs: { dim } }) =>
  reshaped(input!, input!.shape.toSpliced(axisOf(dim, input!.shape.length + 1), 0, 1)),
);

mapKernel('Transpose', ({ inputs: { x }, attrs: { perm } }) => {
  const axes = perm as number[];
  const shape = axes.map((axis) => x!.shape[axis]!);
  return emit('Transpose', [x!, current().graph.ints(axes)], shape, x!.dtype, typed(x!, { Tperm: int32 }));
});

mapKernel('Slice', ({ inputs: { x }, attrs: { begin, size } }) => {
  const [start, extent] = tf.slice_util.parseSliceParams(x as tf.Tensor, begin, size);
  return recorded(slice(current().graph, graphValue(x!), start!, extent!), x!.dtype);
});

mapKernel('SplitV', ({ inputs: { x }, attrs: { numOrSizeSplits, axis } }) => {
  const { graph } = current();
  const along = axisOf(axis, x!.shape.length);
  const sizes: number[] = tf.backend_util.prepareSplitSize(x as tf.Tensor, numOrSizeSplits, along);
  const shapes = sizes.map((size) => x!.shape.with(along, size));
  const attributes = typed(x!, { Tlen: int32, num_split: { i: sizes.length } });
  return graph
    .nodes(
      'SplitV',
      [graphValue(x!), graph.ints(sizes), graph.int(along)],
      recordedType(x!.dtype),
      shapes,
      attributes,
    )
    .map((part) => recorded(part, x!.dtype));
});

mapKernel('Concat', ({ inputs, attrs: { axis } }) => {
  const parts = Object.values(inputs);
  const first = parts[0]!;
  const along = axisOf(axis, first.shape.length);
  const length = parts.reduce((sum, part) => sum + part.shape[along]!, 0);
  const attributes = typed(first, { N: { i: parts.length }, Tidx: int32 });
  return emit(
    'ConcatV2',
    [...parts, current().graph.int(along)],
    first.shape.with(along, length),
    first.dtype,
    attributes,
  );
});

mapKernel('Pack', ({ inputs, attrs: { axis } }) => {
  const parts = Object.values(inputs);
  const first = parts[0]!;
  const along = axisOf(axis, first.shape.length + 1);
  const attributes = typed(first, { N: { i: parts.length }, axis: { i: along } });
  return emit('Pack', parts, first.shape.toSpliced(along, 0, parts.length), first.dtype, attributes);
});

mapKernel('Unpack', ({ inputs: { value }, attrs: { axis } }) => {
  const along = axisOf(axis, value!.shape.length);
  const shape = value!.shape.toSpliced(along, 1);
  const shapes = Array.from({ length: value!.shape[along]! }, () => shape);
  const attributes = typed(value!, { num: { i: shapes.length }, axis: { i: along } });
  return current()
    .graph.nodes('Unpack', [graphValue(value!)], recordedType(value!.dtype), shapes, attributes)
    .map((part) => recorded(part, value!.dtype));
});

mapKernel('PadV2', ({ inputs: { x }, attrs: { paddings, constantValue } }) => {
  const pads = paddings as [number, number][];
  const amounts = current().graph.constant('int32', [pads.length, 2], Int32Array.from(pads.flat()));
  const shape = x!.shape.map((dim, i) => dim + pads[i]![0] + pads[i]![1]);
  const inputs = [x!, amounts, constantLike(x!.dtype, constantValue)];
  return emit('PadV2', inputs, shape, x!.dtype, typed(x!, { Tpaddings: int32 }));
});

mapKernel('Tile', ({ inputs: { x }, attrs: { reps } }) => {
  const shape = x!.shape.map((dim, i) => dim * reps[i]);
  return emit('Tile', [x!, current().graph.ints(reps)], shape, x!.dtype, typed(x!, { Tmultiples: int32 }));
});

mapKernel('BroadcastTo', ({ inputs: { x }, attrs: { shape } }) =>
  emit('BroadcastTo', [x!, current().graph.ints(shape)], shape, x!.dtype, typed(x!, { Tidx: int32 })),
);

const filled = (shape: readonly number[], value: number, dtype: tf.DataType) =>
  recorded(fill(current().graph, shape, constantLike(dtype, value)), dtype);
mapKernel('Fill', ({ attrs: { shape, value, dtype } }) => filled(shape, value, dtype ?? 'float32'));
mapKernel('ZerosLike', ({ inputs: { x } }) => filled(x!.shape, 0, x!.dtype));
mapKernel('OnesLike', ({ inputs: { x } }) => filled(x!.shape, 1, x!.dtype));

mapKernel('Range', ({ attrs: { start, stop, step, dtype } }) => {
  const { graph } = current();
  const length = Math.max(0, Math.ceil((stop - start) / step));
  const values = Array.from({ length }, (_, i) => start + i * step);
  return recorded(
    dtype === 'int32' ? graph.ints(values) : graph.constant('float32', [length], Float32Array.from(values)),
    dtype,
  );
});
