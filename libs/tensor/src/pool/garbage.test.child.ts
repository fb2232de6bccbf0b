/**
 * Opens workspaces one after the other in a pool, each used by all workers, and ends when the process has let go of them.
 * Until then the workers compute: threads that are idle collect garbage by themselves.
 */
import * as tf from '@tensorflow/tfjs';
import { allocate, float32, onnxPool, type Specs, type Workspace } from '../index.js';

const WORKSPACES = 8;
const WORKERS = 2;
/** Large tensors that workers do not read: a copy would make them collect garbage by itself. */
const large = float32(2 ** 23);
const BYTES = 4 * 2 ** 23;
const x = float32(1);
const values = { large: allocate(large).fill(1), x: allocate(x) };

const rss = () => process.memoryUsage().rss;

const open = async (specs: Specs): Promise<Workspace> => {
  const space = await pool.open(specs);
  await space.add({
    negated: { inputs: {}, reads: ['x'], run: ({ x }) => ({ outputs: { y: tf.neg(x!) } }) },
  });
  return space;
};
const runEverywhere = (space: Workspace) =>
  Promise.all(Array.from({ length: WORKERS }, () => space.run('negated', {})));

async function useOne(): Promise<void> {
  const space = await open({ large, x });
  await space.load(values);
  await runEverywhere(space);
  await space.dispose();
}

const pool = onnxPool({ workers: WORKERS });
const busy = await open({ x });
await useOne();
const after1 = rss();
for (let i = 1; i < WORKSPACES; i++) await useOne();
while (rss() > after1 + (WORKSPACES * BYTES) / 3) await runEverywhere(busy);
await pool.close();
