import { setTimeout as sleep } from 'node:timers/promises';

/** Node's longest timer, 24.8 days in milliseconds: the limit of a wait for what may never come. */
export const FOREVER_MS = 2 ** 31 - 1;

/** Resolves after `ms` milliseconds, at most `FOREVER_MS`, or at once when the signal aborts. */
export async function pause(ms: number, signal?: AbortSignal): Promise<void> {
  try {
    await sleep(ms, undefined, { ...(signal && { signal }) });
  } catch (error) {
    if (!signal?.aborted) throw error;
  }
}
