/** Node's longest timer, 24.8 days in milliseconds: the limit of a wait for what may never come. */
export const FOREVER_MS = 2 ** 31 - 1;

/**
 * Resolves after `ms` milliseconds, at most `FOREVER_MS`, or at once when the signal aborts. It is made of the global
 * timer, because tests can fake that one and not the one of `node:timers/promises`.
 */
export function pause(ms: number, signal?: AbortSignal): Promise<void> {
  if (signal?.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    signal?.addEventListener('abort', end, { once: true });
  });
}
