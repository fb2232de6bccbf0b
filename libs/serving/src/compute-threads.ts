/** Compute threads of a service: a model is loaded into each of them, and each takes its share of the work. */
import type { ServiceContext } from '@rlhf-streams/service';
import { type Api, spawn } from '@rlhf-streams/threads';
import { type ComputeSettings, engineChoice, memoryLimit } from './settings.js';
import type { ModelThread, StoredModel, ThreadOptions } from './thread/models.js';

/**
 * Starts a thread that computes as long as the service is up; when the thread dies, the service fails. Resolves, when
 * its module has loaded, to what it serves.
 * @throws ThreadError THREAD_EXITED when it cannot load.
 * @example const { score } = await startThread<RewardThread>(context, new URL('./thread.js', import.meta.url), { name: 'reward' });
 */
export async function startThread<T extends Api>(
  { fail, onStop }: Pick<ServiceContext, 'fail' | 'onStop'>,
  url: URL,
  options: { readonly name: string; readonly data?: unknown },
): Promise<T> {
  const thread = spawn<T>(url, options);
  thread.died.catch(fail);
  onStop(() => thread.close(), `compute thread ${options.name}`);
  await thread.ready();
  return thread.call;
}

export interface ComputeThreads<T extends ModelThread> {
  /**
   * Reads a model into every thread. Resolves to its context length, in tokens. When it fails, some threads may have the model: `unload` frees them.
   * @throws ModelError when the model's files are at fault, or it needs more memory than there is.
   */
  load(model: StoredModel): Promise<number>;
  unload(key: string): Promise<void>;
  /** Gives work to the thread that has the least. */
  compute<R>(work: (thread: T) => Promise<R>): Promise<R>;
}

/**
 * Starts `count` threads, which share the service's memory; `data` is for them, beside `ThreadOptions`. Resolves when
 * all of them can compute.
 * @throws as `startThread` does.
 */
export async function startComputeThreads<T extends ModelThread>(
  context: Pick<ServiceContext<ComputeSettings>, 'name' | 'settings' | 'weightCache' | 'fail' | 'onStop'>,
  url: URL,
  { count, data }: { readonly count: number; readonly data?: object },
): Promise<ComputeThreads<T>> {
  const { name, settings, weightCache } = context;
  const shared: ThreadOptions = {
    compute: engineChoice(settings),
    threads: count,
    memoryBytes: memoryLimit(settings),
    weightCache,
  };
  const start = async (index: number) => {
    const call = await startThread<T>(context, url, {
      name: `${name}-${index}`,
      data: { ...data, ...shared },
    });
    return { call, pending: 0 };
  };
  const threads = await Promise.all(Array.from({ length: count }, (_, index) => start(index)));

  return {
    async load(model) {
      const lengths = await Promise.all(threads.map(({ call }) => call.load(model)));
      return lengths[0]!;
    },
    async unload(key) {
      await Promise.all(threads.map(({ call }) => call.unload(key)));
    },
    async compute(work) {
      const least = threads.reduce((a, b) => (b.pending < a.pending ? b : a));
      least.pending++;
      try {
        return await work(least.call);
      } finally {
        least.pending--;
      }
    },
  };
}
