import { pause } from './pause.js';

/** Pauses between attempts of a loop that `retry` cannot run, because progress in the middle of an attempt counts. */
export interface Backoff {
  /** Milliseconds that the next pause lasts. */
  readonly nextMs: number;
  /** Waits for `nextMs`, or until the signal aborts; the pause after it is twice as long. */
  pause(signal: AbortSignal): Promise<void>;
  /** There was progress: the next pause is as short as the first. */
  reset(): void;
}

/**
 * Pauses of `minDelayMs` milliseconds at first, doubled each time up to `maxDelayMs`.
 *
 * @example
 * const delays = backoff({ minDelayMs: 100, maxDelayMs: 5000 });
 * while (!signal.aborted) {
 *   if (await connect()) delays.reset();
 *   else await delays.pause(signal);
 * }
 */
export function backoff(options: { readonly minDelayMs: number; readonly maxDelayMs: number }): Backoff {
  const { minDelayMs, maxDelayMs } = options;
  let nextMs = Math.min(minDelayMs, maxDelayMs);
  return {
    get nextMs() {
      return nextMs;
    },
    pause: async (signal) => {
      const ms = nextMs;
      nextMs = Math.min(2 * nextMs, maxDelayMs);
      await pause(ms, signal);
    },
    reset: () => {
      nextMs = Math.min(minDelayMs, maxDelayMs);
    },
  };
}
