/**
 * Run as a process by a test, because ONNX Runtime writes to its standard error: computes on a GPU by each engine, and
 * writes as JSON what is missing, and what each engine gave.
 */
import * as tf from '@tensorflow/tfjs';
import { compute } from '../compute.test.support.js';
import { float32 } from '../engine.js';
import { onnxPool } from '../pool/pool.js';
import { requireDevice } from './device.js';
import { onnxEngine } from './onnx.js';

const missing = await requireDevice('cuda').then(
  () => undefined,
  ({ code, message }) => ({ code, message }),
);
const products: (number[] | 'failed')[] = [];
for (const engine of [onnxEngine({ device: 'cuda' }), onnxPool({ workers: 1, device: 'cuda' })]) {
  const run = async () => {
    const { y } = await compute(
      engine,
      ({ x }) => ({ y: tf.matMul(x!, x!) }),
      { x: float32(2, 2) },
      { x: Float32Array.of(1, 2, 3, 4) },
    );
    return [...y!].map(Math.round);
  };
  products.push(await run().catch(() => 'failed' as const));
  await engine.close();
}
process.stdout.write(JSON.stringify({ missing, products }));
