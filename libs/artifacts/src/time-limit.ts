import { withDeadline } from '@rlhf-streams/waiting';
import { ArtifactError } from './errors.js';
import type { FetchOptions } from './port.js';

const DEFAULT_TIMEOUT_MS = 10 * 60 * 1000;

/**
 * Runs `work` until it ends, the caller's signal aborts or the time is up; both abort the signal that `work` gets.
 *
 * @param what is waited for, as in `artifact abc to be fetched`
 * @throws ArtifactError ARTIFACT_TIMEOUT naming `what`; the caller's signal's reason.
 */
export function limited<T>(
  { signal, timeoutMs = DEFAULT_TIMEOUT_MS }: FetchOptions,
  what: string,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const late = () =>
    new ArtifactError(
      'ARTIFACT_TIMEOUT',
      `expected ${what} within ${timeoutMs} ms: allow more time, or see what slows the disk or the network`,
    );
  return withDeadline(work, { ms: timeoutMs, signal, late });
}
