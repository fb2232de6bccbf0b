import { axisOf, recorded, recordedType } from '../../capture/recording.js';
import { current } from '../backend.js';
import { typeOf } from '../graph.js';
import { cast } from '../operators.js';
import { emit, emitValue, mapKernel, typed } from './register.js';

const int32 = typeOf('int32');

mapKernel('GatherV2', ({ inputs: { x, indices }, attrs: { axis } }) => {
  const along = axisOf(axis, x!.shape.length);
  const shape = x!.shape.toSpliced(along, 1, ...indices!.shape);
  const { T: Tparams } = typed(x!);
  return emit('GatherV2', [x!, indices!, current().graph.int(along)], shape, x!.dtype, {
    Tparams: Tparams!,
    Tindices: int32,
    Taxis: int32,
  });
});

mapKernel('GatherNd', ({ inputs: { params, indices } }) => {
  const shape = [...indices!.shape.slice(0, -1), ...params!.shape.slice(indices!.shape.at(-1)!)];
  const { T: Tparams } = typed(params!);
  return emit('GatherNd', [params!, indices!], shape, params!.dtype, {
    Tparams: Tparams!,
    Tindices: int32,
  });
});

/** The gradient of a gather: rows with equal ids are added up. */
mapKernel('UnsortedSegmentSum', ({ inputs: { x, segmentIds }, attrs: { numSegments } }) => {
  const shape = [numSegments, ...x!.shape.slice(1)];
  const attributes = typed(x!, { Tindices: int32, Tnumsegments: int32 });
  return emit(
    'UnsortedSegmentSum',
    [x!, segmentIds!, current().graph.int(numSegments)],
    shape,
    x!.dtype,
    attributes,
  );
});

mapKernel('ScatterNd', ({ inputs: { indices, updates }, attrs: { shape } }) =>
  emit(
    'ScatterNd',
    [indices!, updates!, current().graph.ints(shape)],
    shape,
    updates!.dtype,
    typed(updates!, { Tindices: int32 }),
  ),
);

mapKernel('TensorScatterUpdate', ({ inputs: { tensor, indices, updates } }) =>
  emit(
    'TensorScatterUpdate',
    [tensor!, indices!, updates!],
    tensor!.shape,
    tensor!.dtype,
    typed(tensor!, { Tindices: int32 }),
  ),
);

mapKernel('OneHot', ({ inputs: { indices }, attrs: { depth, onValue, offValue, dtype } }) => {
  const { graph } = current();
  const values = [graph.int(depth), graph.scalar(onValue), graph.scalar(offValue)];
  const shape = [...indices!.shape, depth];
  const attributes = { T: typeOf('float32'), TI: int32, axis: { i: -1 } };
  const hot = emitValue('OneHot', [indices!, ...values], shape, 'float32', attributes);
  const type = dtype ?? 'float32';
  return recorded(cast(graph, hot, recordedType(type)), type);
});
