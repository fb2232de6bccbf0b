/** Closes pools while their workers compute: of this process, or of a thread of it. */
import { isMainThread } from 'node:worker_threads';
import { serve, spawn } from '@rlhf-streams/threads';
import * as tf from '@tensorflow/tfjs';
import { allocate, float32, onnxPool } from '../index.js';

const ROUNDS = 4;
const WORKERS = 2;
/** A run with many outputs spends much of its time making them: ending its thread at that moment would crash the process. */
const OUTPUTS = 500;

/** Computes on all workers, for as long as they are there; resolves once they have begun. */
async function compute(): Promise<{ readonly pool: ReturnType<typeof onnxPool> }> {
  const pool = onnxPool({ workers: WORKERS });
  const x = float32(1);
  const space = await pool.open({});
  await space.add({
    many: {
      inputs: { x },
      reads: [],
      run: (_, inputs) => ({
        outputs: Object.fromEntries(
          Array.from({ length: OUTPUTS }, (_, i) => [`y${i}`, tf.add(inputs.x!, i)]),
        ),
      }),
    },
  });
  const run = () => space.run('many', { x: allocate(x) });
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
