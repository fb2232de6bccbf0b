/** Work that cannot be done for now, though nothing is wrong with it: what it needs is out of reach. */
import pRetry from 'p-retry';
import { codeOf } from './errors.js';

const CODES: ReadonlySet<string> = new Set([
  'LOG_UNAVAILABLE',
  'ARTIFACT_TIMEOUT',
  'ARTIFACT_STORE_UNAVAILABLE',
  'RUNTIME_UNAVAILABLE',
]);

/** Whether `error` says that the log, the artifact store, or something else that others provide is out of reach. */
export const isUnavailable = (error: unknown): boolean => CODES.has(codeOf(error));

export interface UntilAvailableOptions {
  /** Milliseconds before the second attempt, doubled at each (and randomised up to twice that). Default 100. */
  readonly minDelayMs?: number;
  /** Default 5000. */
  readonly maxDelayMs?: number;
  /** Ends the waiting, with its reason. */
  readonly signal: AbortSignal;
  readonly onWait?: (error: Error) => void;
}

/** Runs `work` again for as long as it fails with what `isUnavailable` knows; other errors are thrown. */
export function untilAvailable<T>(work: () => Promise<T>, options: UntilAvailableOptions): Promise<T> {
  const { minDelayMs = 100, maxDelayMs = 5000, signal, onWait } = options;
  return pRetry(work, {
    retries: Number.POSITIVE_INFINITY,
    minTimeout: minDelayMs,
    maxTimeout: maxDelayMs,
    randomize: true,
    signal,
    shouldRetry: ({ error }) => isUnavailable(error),
    onFailedAttempt: ({ error }) => {
      if (isUnavailable(error)) onWait?.(error);
    },
  });
}
