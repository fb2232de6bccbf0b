import { afterEach, expect, it, vi } from 'vitest';
import { type ComputeThreads, startComputeThreads } from './compute-threads.js';
import type { ChildThread } from './compute-threads.test.child.js';

const stops: (() => void | Promise<void>)[] = [];
const fail = vi.fn();
const weightCache = { directory: '/weights', bytes: 1 };
afterEach(async () => {
  for (const stop of stops.splice(0)) await stop();
});

const start = (): Promise<ComputeThreads<ChildThread>> =>
  startComputeThreads<ChildThread>(
    {
      name: 'test',
      settings: {
        RLHF_DEVICE: 'cpu',
        RLHF_PRECISION: 'float32',
        RLHF_XLA: false,
        RLHF_MEMORY_LIMIT_BYTES: 900,
      },
      weightCache,
      fail,
      onStop: (stop) => void stops.push(stop),
    },
    new URL('./compute-threads.test.child.js', import.meta.url),
    { count: 3, data: { slots: 7 } },
  );

const stored = (key: string, base = `/${key}`) => ({ key, folders: { base }, baseHash: base, frozen: true });

/** What each thread says, all of them asked at once. */
const states = (threads: ComputeThreads<ChildThread>) =>
  Promise.all(Array.from({ length: 3 }, () => threads.compute((thread) => thread.state())));

it('tells its threads what memory the service has, and how many share it', async () => {
  const threads = await start();
  const data = { compute: { engine: 'onnx' }, threads: 3, memoryBytes: 900, weightCache, slots: 7 };
  expect((await states(threads)).map(({ workerData }) => workerData)).toEqual([data, data, data]);
});

it('has a model in every thread, until it is unloaded', async () => {
  const threads = await start();
  expect(await threads.load(stored('a'))).toBe(128);
  await threads.load(stored('b'));
  await threads.unload('a');
  expect((await states(threads)).map(({ keys }) => keys)).toEqual([['b'], ['b'], ['b']]);
  await expect(threads.load(stored('c', '/bad'))).rejects.toMatchObject({ code: 'MODEL_BAD' });
});

it('gives work to the thread that has the least', async () => {
  const threads = await start();
  const ids = (await states(threads)).map(({ threadId }) => threadId);
  const work = Array.from({ length: 6 }, (_, i) => threads.compute((thread) => thread.work(`${i}`)));
  // Each thread has two works by now, so each gets one of the next three.
  await Promise.all(Array.from({ length: 3 }, () => threads.compute((thread) => thread.finish())));
  expect(new Set(ids).size).toBe(3);
  expect((await Promise.all(work)).sort()).toEqual([...ids, ...ids].sort());
});

it('fails the service when a module cannot be loaded', async () => {
  const missing = new URL('./nowhere.js', import.meta.url);
  const context = {
    name: 'test',
    settings: {
      RLHF_DEVICE: 'cpu',
      RLHF_PRECISION: 'float32',
      RLHF_XLA: false,
      RLHF_MEMORY_LIMIT_BYTES: 0,
    } as const,
    weightCache,
    fail,
    onStop: (stop: () => void | Promise<void>) => void stops.push(stop),
  };
  await expect(startComputeThreads(context, missing, { count: 1 })).rejects.toMatchObject({
    code: 'THREAD_EXITED',
  });
  expect(fail).toHaveBeenCalledWith(expect.objectContaining({ code: 'THREAD_EXITED' }));
});
