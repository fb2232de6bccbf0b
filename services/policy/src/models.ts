/** Models in the memory of the compute threads: each thread has them all, and takes its share of the sequences. */
import type { ServiceContext } from '@rlhf-streams/runtime';
import { spawn } from '@rlhf-streams/threads';
import type { PolicyThread, Sampled, ThreadOptions, Work } from './thread.js';

export interface Models {
  /** Resolves when all threads can compute. */
  ready(): Promise<void>;
  /** Reads the model in a folder and keeps it under `key`. */
  load(key: string, directory: string): Promise<void>;
  unload(key: string): Promise<void>;
  generate(key: string, work: Work): Promise<Sampled>;
  encode(key: string, text: string): ReturnType<PolicyThread['encode']>;
}

export function createModels(
  { fail, onStop }: Pick<ServiceContext, 'fail' | 'onStop'>,
  { threads: count, slots, device }: ThreadOptions & { readonly threads: number },
): Models {
  const threads = Array.from({ length: count }, (_, i) => {
    const thread = spawn<PolicyThread>(new URL('./thread.js', import.meta.url), {
      name: `policy-${i}`,
      data: { slots, device } satisfies ThreadOptions,
    });
    thread.died.catch(fail);
    onStop(() => thread.close(), `compute thread policy-${i}`);
    return { call: thread.call, ready: thread.ready, pending: 0 };
  });
  return {
    ready: async () => {
      await Promise.all(threads.map(({ ready }) => ready()));
    },
    load: async (key, directory) => {
      await Promise.all(threads.map(({ call }) => call.load(key, directory)));
    },
    unload: async (key) => {
      await Promise.all(threads.map(({ call }) => call.unload(key)));
    },
    generate: async (key, work) => {
      const least = threads.reduce((a, b) => (b.pending < a.pending ? b : a));
      least.pending++;
      try {
        return await least.call.generate(key, work);
      } finally {
        least.pending--;
      }
    },
    encode: (key, text) => threads[0]!.call.encode(key, text),
  };
}
