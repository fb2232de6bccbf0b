/** Models in the memory of the compute threads: each thread has them all, and takes its share of the sequences. */
import { type ServiceContext, startThread } from '@rlhf-streams/runtime';
import type { PolicyThread, Sampled, ThreadOptions, Work } from './thread.js';

export interface Models {
  /** Reads the model in a folder and keeps it under `key`. */
  load(key: string, directory: string): Promise<void>;
  unload(key: string): Promise<void>;
  generate(key: string, work: Work): Promise<Sampled>;
  encode(key: string, text: string): ReturnType<PolicyThread['encode']>;
}

/** Resolves when all threads can compute. */
export async function createModels(
  context: Pick<ServiceContext, 'fail' | 'onStop'>,
  { threads: count, ...data }: ThreadOptions & { readonly threads: number },
): Promise<Models> {
  const start = async (name: string) => {
    const url = new URL('./thread.js', import.meta.url);
    return { call: await startThread<PolicyThread>(context, url, { name, data }), pending: 0 };
  };
  const threads = await Promise.all(Array.from({ length: count }, (_, i) => start(`policy-${i}`)));
  return {
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
