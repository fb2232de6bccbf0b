import * as tf from '@tensorflow/tfjs';
import { axisOf, recorded, recordedType } from '../../capture/recording.js';
import { current, graphValue } from '../backend.js';
import { typeOf } from '../graph.js';
import { emit, mapKernel, typed } from './register.js';

const Tidx = typeOf('int32');

for (const op of ['Sum', 'Max', 'Min', 'Mean', 'Prod'])
  mapKernel(op, ({ inputs: { x }, attrs: { axis, reductionIndices, keepDims } }) => {
    const axes = tf.util.parseAxisParam(axis ?? reductionIndices, x!.shape);
    const shape = keepDims
      ? x!.shape.map((dim, i) => (axes.includes(i) ? 1 : dim))
      : x!.shape.filter((_, i) => !axes.includes(i));
    const attributes = typed(x!, { Tidx, keep_dims: { b: Boolean(keepDims) } });
    return emit(op, [x!, current().graph.ints(axes)], shape, x!.dtype, attributes);
  });

mapKernel('ArgMax', ({ inputs: { x }, attrs: { axis } }) => {
  const along = axisOf(axis, x!.shape.length);
  const attributes = typed(x!, { Tidx, output_type: Tidx });
  return emit('ArgMax', [x!, current().graph.int(along)], x!.shape.toSpliced(along, 1), 'int32', attributes);
});

/** Lowest indices come first among equals. */
mapKernel('TopK', ({ inputs: { x }, attrs: { k, sorted } }) => {
  const { graph } = current();
  const shape = x!.shape.with(-1, k);
  const attributes = typed(x!, { sorted: { b: Boolean(sorted) }, Tk: Tidx, index_type: Tidx });
  const inputs = [graphValue(x!), graph.int(k)];
  const [values, indices] = graph.nodes('TopKV2', inputs, recordedType(x!.dtype), [shape, shape], attributes);
  return [recorded(values!, x!.dtype), recorded({ ...indices!, type: 'int32' }, 'int32')];
});

mapKernel('Cumsum', ({ inputs: { x }, attrs: { axis, exclusive, reverse } }) => {
  const along = current().graph.int(axisOf(axis, x!.shape.length));
  const attributes = typed(x!, {
    Tidx,
    exclusive: { b: Boolean(exclusive) },
    reverse: { b: Boolean(reverse) },
  });
  return emit('Cumsum', [x!, along], x!.shape, x!.dtype, attributes);
});

// tfjs takes both along the last axis alone, as TensorFlow does.
for (const op of ['Softmax', 'LogSoftmax'])
  mapKernel(op, ({ inputs: { logits } }) => emit(op, [logits!], logits!.shape, 'float32', typed(logits!)));
