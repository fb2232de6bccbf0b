import { spawn, type Thread } from '@rlhf-streams/threads';
import { TensorError } from '../errors.js';
import type { PoolApi } from './thread.js';

type Calls = Thread<PoolApi>['call'];

export interface Worker {
  readonly call: Calls;
  /** Does `open` in this thread unless that was done before under this key. */
  once(key: string, open: (call: Calls) => Promise<void>): Promise<void>;
}

/** The threads of a pool. */
export interface Workers {
  readonly count: number;
  /** Resolves with a worker that has nothing to do; callers are served in their order. */
  acquire(): Promise<Worker>;
  release(worker: Worker): void;
  /** Undoes in every thread what was done there under a key. */
  undo(key: string, close: (call: Calls) => Promise<void>): Promise<void>;
  everywhere(work: (call: Calls) => Promise<void>): Promise<void>;
  /** @throws TensorError TENSOR_ENGINE_CLOSED */
  checkOpen(): void;
  close(): Promise<void>;
}

export function createWorkers(count: number): Workers {
  const all = Array.from({ length: count }, (_, i) => {
    const thread = spawn<PoolApi>(new URL('./thread.js', import.meta.url), { name: `onnx-${i}` });
    const done = new Map<string, Promise<void>>();
    const worker: Worker = {
      call: thread.call,
      once(key, open) {
        const known = done.get(key);
        if (known) return known;
        const opening = open(thread.call);
        done.set(key, opening);
        // What failed may be tried again.
        opening.catch(() => done.delete(key));
        return opening;
      },
    };
    return { thread, worker, done };
  });
  const idle = all.map(({ worker }) => worker);
  const waiting: ((worker: Worker) => void)[] = [];
  let closed = false;

  return {
    count,
    acquire: () =>
      new Promise((resolve) => {
        const worker = idle.shift();
        if (worker) resolve(worker);
        else waiting.push(resolve);
      }),
    release(worker) {
      const next = waiting.shift();
      if (next) next(worker);
      else idle.push(worker);
    },
    async undo(key, close) {
      if (closed) return;
      await Promise.all(
        all.filter(({ done }) => done.delete(key)).map(({ worker: { call } }) => close(call)),
      );
    },
    async everywhere(work) {
      if (!closed) await Promise.all(all.map(({ worker: { call } }) => work(call)));
    },
    checkOpen() {
      if (closed) throw new TensorError('TENSOR_ENGINE_CLOSED', 'the pool is closed');
    },
    async close() {
      closed = true;
      await Promise.all(all.map(({ thread }) => thread.close()));
    },
  };
}
