import { setImmediate as immediate } from 'node:timers/promises';

/** Resolves after `ms`, or at once when the signal aborts. */
export function pause(ms: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener('abort', done, { once: true });
  });
}

/** Waits for `work`, but no longer than `ms`: whether it ended in time. A rejection in time is thrown. */
export async function within(ms: number, work: Promise<unknown>): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<boolean>((resolve) => {
    timer = setTimeout(resolve, ms, false);
  });
  try {
    return await Promise.race([work.then(() => true), late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Lets timers and I/O run: a loop of promises alone would starve them. */
export async function turn(): Promise<void> {
  await immediate();
}

const MAX_DELAY_MS = 5_000;

/** The wait before retry number `failures` (1, 2, ...): doubling, up to 5 s. */
export const backoff = (firstMs: number, failures: number): number =>
  Math.min(MAX_DELAY_MS, firstMs * 2 ** Math.min(failures - 1, 16));
