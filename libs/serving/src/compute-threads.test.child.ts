/** A compute thread without models: it says what it was given, and works until it is told to end. */
import { threadId, workerData } from 'node:worker_threads';
import { serve } from '@rlhf-streams/threads';
import type { ModelThread, StoredModel } from './thread/models.js';

const loaded = new Map<string, string>();
const underWay = new Map<string, () => void>();

const api = {
  async load({ key, folders }: StoredModel): Promise<number> {
    if (folders.base === '/bad') throw Object.assign(new Error('it cannot be read'), { code: 'MODEL_BAD' });
    loaded.set(key, folders.base);
    return 128;
  },
  async unload(key: string): Promise<void> {
    loaded.delete(key);
  },
  /** Ends when `finish` is called in the same thread. */
  work: (name: string): Promise<number> =>
    new Promise((resolve) => {
      underWay.set(name, () => resolve(threadId));
    }),
  finish: async (): Promise<void> => {
    for (const end of underWay.values()) end();
  },
  state: async () => ({ threadId, workerData: workerData as object, keys: [...loaded.keys()] }),
};

export type ChildThread = typeof api & ModelThread;
serve(api);
