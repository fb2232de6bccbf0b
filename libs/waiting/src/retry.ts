import pRetry from 'p-retry';

export interface RetryOptions {
  /** Whether the same work may succeed later. p-retry adds a rule: a TypeError is a bug, unless `fetch` reports the network by it. */
  readonly shouldRetry: (error: Error) => boolean;
  /** Attempts after the first. Default: any number. */
  readonly retries?: number;
  /** Milliseconds before the first retry, doubled at each, and randomised up to twice that. Default 100. */
  readonly minDelayMs?: number;
  /** Default 5000. */
  readonly maxDelayMs?: number;
  /** Ends the waiting, with its reason. */
  readonly signal?: AbortSignal | undefined;
  /** Called with a failure after which the work is tried again, and the number of its attempt, from 1. */
  readonly onRetry?: ((error: Error, attempt: number) => void) | undefined;
}

/**
 * Runs `work` until it succeeds, fails for good, or has used up its retries.
 *
 * @throws the last error of `work`; the reason of `signal`.
 * @example await retry(() => store.put(file), { shouldRetry: isUnavailable, retries: 5, signal });
 */
export function retry<T>(work: (attempt: number) => Promise<T>, options: RetryOptions): Promise<T> {
  const { shouldRetry, retries = Number.POSITIVE_INFINITY, signal, onRetry } = options;
  const { minDelayMs = 100, maxDelayMs = 5000 } = options;
  return pRetry(work, {
    retries,
    minTimeout: minDelayMs,
    maxTimeout: maxDelayMs,
    randomize: true,
    ...(signal && { signal }),
    shouldRetry: ({ error }) => shouldRetry(error),
    onFailedAttempt: ({ error, attemptNumber, retriesLeft }) => {
      // Whoever aborted the work knows why it ended: it is not tried again.
      if (retriesLeft > 0 && !signal?.aborted && shouldRetry(error)) onRetry?.(error, attemptNumber);
    },
  });
}
