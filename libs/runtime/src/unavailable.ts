/** Work that cannot be done for now, though nothing is wrong with it: what it needs of its surroundings is not there. */
import pRetry from 'p-retry';
import { codeOf } from './errors.js';

const CODES: ReadonlySet<string> = new Set([
  'LOG_UNAVAILABLE',
  'LOG_WRITE_FAILED',
  'LOG_DENIED',
  'ARTIFACT_TIMEOUT',
  'ARTIFACT_STORE_UNAVAILABLE',
  'ARTIFACT_STORE_REFUSED',
  'RUNTIME_UNAVAILABLE',
  // The operating system's: no room, no permission, a device that fails, too many open files.
  ...['ENOSPC', 'EDQUOT', 'EIO', 'EROFS', 'EACCES', 'EPERM', 'EMFILE', 'ENFILE', 'ESTALE'],
]);

/**
 * Whether `error` says that the log, the artifact store, the disk, or something else that others provide is out of
 * reach, full or forbidden: to be mended from outside, after which the same work succeeds.
 */
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
