import { setTimeout as sleep } from 'node:timers/promises';

/** Node's longest timer, 24.8 days: the limit of a wait for what may never come. */
export const FOREVER_MS = 2 ** 31 - 1;

/** Resolves after `ms` milliseconds, or at once when the signal aborts. */
export function pause(ms: number, signal: AbortSignal): Promise<void> {
  return sleep(ms, undefined, { signal }).catch((error) => {
    if (!signal.aborted) throw error;
  });
}
