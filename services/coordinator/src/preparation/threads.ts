/** One compute thread per preparation: a long preparation delays no other, and a cancelled one ends at once. */
import { type Api, spawn } from '@rlhf-streams/threads';
import pLimit from 'p-limit';

export interface PreparationThreads<T extends Api> {
  /**
   * Lets `work` call a thread of its own, as soon as one may be started, and ends the thread with it. When `signal`
   * aborts, the thread is ended, which fails the work.
   */
  use<Result>(signal: AbortSignal, work: (thread: T) => Promise<Result>): Promise<Result>;
}

/** Threads at a time: each may hold a dataset and the weights of a new model. */
const MOST_THREADS = 4;

export function preparationThreads<T extends Api>(url: URL): PreparationThreads<T> {
  const limit = pLimit(MOST_THREADS);
  return {
    use: (signal, work) =>
      limit(async () => {
        signal.throwIfAborted();
        // It computes in JavaScript, which may be cut anywhere.
        const thread = spawn<T>(url, { name: 'preparation', patienceMs: 1000 });
        const close = () => void thread.close();
        signal.addEventListener('abort', close, { once: true });
        try {
          return await work(thread.call);
        } finally {
          signal.removeEventListener('abort', close);
          await thread.close();
        }
      }),
  };
}
