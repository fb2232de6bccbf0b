import * as tf from '@tensorflow/tfjs';
import { dataType } from '../../onnx/schema.js';
import { currentGraph, graphValue } from '../backend.js';
import { axisOf, type KernelCall, recorded, recordedType } from '../recording.js';
import { emit, emitValue, mapKernel } from './register.js';

function reduction({ inputs: { x }, attrs: { axis, reductionIndices, keepDims } }: KernelCall) {
  const axes = tf.util.parseAxisParam(axis ?? reductionIndices, x!.shape);
  const shape = keepDims
    ? x!.shape.map((dim, i) => (axes.includes(i) ? 1 : dim))
    : x!.shape.filter((_, i) => !axes.includes(i));
  return { x: x!, axes, shape, keepdims: { int: keepDims ? 1 : 0 } };
}

// ReduceSum takes its axes as an input, the others of opset 17 as an attribute.
mapKernel('Sum', (call) => {
  const { x, axes, shape, keepdims } = reduction(call);
  if (axes.length === 0) return emit('Identity', [x], shape, x.dtype);
  return emit('ReduceSum', [x, currentGraph().int64s(axes)], shape, x.dtype, { attributes: { keepdims } });
});

for (const [kernel, op] of [
  ['Max', 'ReduceMax'],
  ['Min', 'ReduceMin'],
  ['Mean', 'ReduceMean'],
  ['Prod', 'ReduceProd'],
] as const) {
  mapKernel(kernel, (call) => {
    const { x, axes, shape, keepdims } = reduction(call);
    if (axes.length === 0) return emit('Identity', [x], shape, x.dtype);
    return emit(op, [x], shape, x.dtype, { attributes: { keepdims, axes: { ints: axes } } });
  });
}

mapKernel('ArgMax', ({ inputs: { x }, attrs: { axis } }) => {
  const along = axisOf(axis, x!.shape.length);
  const shape = x!.shape.toSpliced(along, 1);
  const index = emitValue('ArgMax', [x!], shape, 'int64', {
    attributes: { axis: { int: along }, keepdims: { int: 0 } },
  });
  return emit('Cast', [index], shape, 'int32', { attributes: { to: { int: dataType.int32 } } });
});

/** Lowest indices come first among equals. */
mapKernel('TopK', ({ inputs: { x }, attrs: { k, sorted } }) => {
  const graph = currentGraph();
  const shape = x!.shape.with(-1, k);
  const [values, indices] = graph.nodes(
    'TopK',
    [graphValue(x!), graph.int64s([k])],
    [recordedType(x!.dtype), 'int64'],
    [shape, shape],
    { attributes: { axis: { int: -1 }, largest: { int: 1 }, sorted: { int: sorted ? 1 : 0 } } },
  );
  const attributes = { to: { int: dataType[recordedType('int32')] } };
  return [recorded(values!, x!.dtype), emit('Cast', [indices!], shape, 'int32', { attributes })];
});

mapKernel('Cumsum', ({ inputs: { x }, attrs: { axis, exclusive, reverse } }) => {
  const along = currentGraph().int64s([axisOf(axis, x!.shape.length)]);
  const attributes = { exclusive: { int: exclusive ? 1 : 0 }, reverse: { int: reverse ? 1 : 0 } };
  return emit('CumSum', [x!, along], x!.shape, x!.dtype, { attributes });
});

mapKernel('Softmax', ({ inputs: { logits }, attrs: { dim } }) =>
  emit('Softmax', [logits!], logits!.shape, 'float32', { attributes: { axis: { int: dim } } }),
);

mapKernel('LogSoftmax', ({ inputs: { logits }, attrs: { axis } }) =>
  emit('LogSoftmax', [logits!], logits!.shape, 'float32', { attributes: { axis: { int: axis } } }),
);
