import * as tf from '@tensorflow/tfjs';
import { emit, mapKernel } from './register.js';

/** ONNX Runtime's FusedMatMul takes transposed operands as they lie, where ONNX's MatMul would need copies. */
mapKernel('BatchMatMul', ({ inputs: { a, b }, attrs: { transposeA, transposeB } }) => {
  const rows = a!.shape.at(transposeA ? -1 : -2)!;
  const columns = b!.shape.at(transposeB ? -2 : -1)!;
  const batch = tf.backend_util.assertAndGetBroadcastShape(a!.shape.slice(0, -2), b!.shape.slice(0, -2));
  const shape = [...batch, rows, columns];
  if (!transposeA && !transposeB) return emit('MatMul', [a!, b!], shape, 'float32');
  return emit('FusedMatMul', [a!, b!], shape, 'float32', {
    domain: 'com.microsoft',
    attributes: { transA: { int: transposeA ? 1 : 0 }, transB: { int: transposeB ? 1 : 0 } },
  });
});
