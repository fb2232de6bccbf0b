import type * as tf from '@tensorflow/tfjs';
import { dataType } from '../../onnx/schema.js';
import { currentGraph } from '../backend.js';
import { axisOf } from '../recording.js';
import { emit, emitValue, mapKernel } from './register.js';

const toInt64 = (x: tf.TensorInfo) =>
  emitValue('Cast', [x], x.shape, 'int64', { attributes: { to: { int: dataType.int64 } } });

const zeros = (shape: readonly number[]) =>
  emit('Expand', [currentGraph().scalar(0), currentGraph().int64s(shape)], shape, 'float32');

mapKernel('GatherV2', ({ inputs: { x, indices }, attrs: { axis } }) => {
  const along = axisOf(axis, x!.shape.length);
  const shape = x!.shape.toSpliced(along, 1, ...indices!.shape);
  return emit('Gather', [x!, indices!], shape, x!.dtype, { attributes: { axis: { int: along } } });
});

mapKernel('GatherNd', ({ inputs: { params, indices } }) => {
  const depth = indices!.shape.at(-1)!;
  const shape = [...indices!.shape.slice(0, -1), ...params!.shape.slice(depth)];
  return emit('GatherND', [params!, toInt64(indices!)], shape, params!.dtype);
});

/** The gradient of a gather: rows with equal ids are added up. */
mapKernel('UnsortedSegmentSum', ({ inputs: { x, segmentIds }, attrs: { numSegments } }) => {
  const shape = [numSegments, ...x!.shape.slice(1)];
  const column = [segmentIds!.shape[0]!, 1];
  const index = emitValue('Reshape', [toInt64(segmentIds!), currentGraph().int64s(column)], column, 'int64');
  return scatterAdd(shape, index, x!);
});

mapKernel('ScatterNd', ({ inputs: { indices, updates }, attrs: { shape } }) =>
  scatterAdd(shape, toInt64(indices!), updates!),
);

mapKernel('TensorScatterUpdate', ({ inputs: { tensor, indices, updates } }) =>
  emit('ScatterND', [tensor!, toInt64(indices!), updates!], tensor!.shape, tensor!.dtype),
);

const scatterAdd = (shape: readonly number[], index: ReturnType<typeof toInt64>, updates: tf.TensorInfo) =>
  emit('ScatterND', [zeros(shape), index, updates], shape, updates.dtype, {
    attributes: { reduction: { string: 'add' } },
  });

mapKernel('OneHot', ({ inputs: { indices }, attrs: { depth, onValue, offValue, dtype } }) => {
  const graph = currentGraph();
  const values = graph.constant('float32', [2], Float32Array.of(offValue, onValue));
  const shape = [...indices!.shape, depth];
  const hot = emit('OneHot', [toInt64(indices!), graph.int64s([depth]), values], shape, 'float32', {
    attributes: { axis: { int: -1 } },
  });
  return dtype === 'float32' || dtype === undefined
    ? hot
    : emit('Cast', [hot], shape, dtype, { attributes: { to: { int: dataType[dtype as 'int32' | 'bool'] } } });
});
