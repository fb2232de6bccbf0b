/** Completions on all cores: a thread each with its share of the prompts, as the threads of a policy service. */
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { timed } from '../timing.js';
import type { Opened } from './channel.js';
import { importFrom } from './import-from.js';
import type { Decode } from './workload.js';

export interface DecodingThread extends Decode {
  readonly root: string;
  /** Which of the threads it is. */
  readonly index: number;
}

export async function openDecode(root: string, workload: Decode): Promise<Opened> {
  // A build's own way of starting threads may set how their memory is collected.
  await importFrom(root, '@rlhf-streams/threads');
  const url = new URL('./decoding-thread.js', import.meta.url);
  const threads = Array.from({ length: workload.threads }, (_, index) => {
    const workerData: DecodingThread = { ...workload, root, index };
    return new Worker(url, { workerData });
  });
  await Promise.all(threads.map((thread) => once(thread, 'message')));
  const generate = () =>
    Promise.all(
      threads.map((thread) => {
        const done = once(thread, 'message');
        thread.postMessage('generate');
        return done;
      }),
    );
  return {
    async run() {
      await generate();
      return timed(generate);
    },
    close: async () => void (await Promise.all(threads.map((thread) => thread.terminate()))),
  };
}
