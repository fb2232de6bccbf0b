import { type Api, spawn } from '@rlhf-streams/threads';
import type { ServiceContext } from './service.js';

/**
 * A thread that computes for as long as the service is up, which fails if the thread dies. Resolves, when its module
 * has loaded, to what it serves.
 * @throws ThreadError THREAD_EXITED when it cannot load.
 * @example const { score } = await startThread<RewardThread>(context, new URL('../../runtime/src/thread.js', import.meta.url), { name: 'reward' });
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
