/** Closes pools while their workers compute: of this process, or of a thread of it. */
import { isMainThread } from 'node:worker_threads';
import { serve, spawn } from '@rlhf-streams/threads';
import * as tf from '@tensorflow/tfjs';
import { allocate, float32, onnxPool } from '../index.js';

const ROUNDS = 8;
const WORKERS = 4;
const SIZE = 160;

/** Computes on all workers, for as long as they are there; resolves once they have begun. */
async function compute(): Promise<{ readonly pool: ReturnType<typeof onnxPool> }> {
  const pool = onnxPool({ workers: WORKERS });
  const specs = { x: float32(SIZE, SIZE) };
  const program = await pool.compile(({ x }) => {
    const y = tf.matMul(x as tf.Tensor2D, x as tf.Tensor2D);
    return { y: tf.matMul(y, y) };
  }, specs);
  const run = () => program.run({ x: allocate(specs.x).fill(1e-3) });
  await Promise.all(Array.from({ length: WORKERS }, run));
  const again = async (): Promise<void> => {
    for (;;) await run();
  };
  for (let worker = 0; worker < WORKERS; worker++) again().catch(() => {});
  return { pool };
}

const api = {
  compute: async () => {
    await compute();
  },
};

if (!isMainThread) serve(api);
else {
  for (let round = 0; round < ROUNDS; round++) {
    const { pool } = await compute();
    await pool.close();
    const thread = spawn<typeof api>(new URL(import.meta.url), { name: 'nested' });
    await thread.call.compute();
    await thread.close();
  }
}
