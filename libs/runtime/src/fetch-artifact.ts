import type { ArtifactRef, ArtifactStore } from '@rlhf-streams/artifacts';
import { messageOf, RuntimeError } from './errors.js';

export interface FetchArtifactOptions {
  /** What it is, for the error. */
  readonly what: string;
  /** Milliseconds it may take. Default two minutes. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

/**
 * The local folder of an artifact that an event needs. That it does not come is no fault of the event, which is
 * handled again until it does.
 * @throws RuntimeError RUNTIME_UNAVAILABLE, with the store's error as its cause; the signal's reason.
 */
export async function fetchArtifact(
  artifacts: Pick<ArtifactStore, 'fetch'>,
  ref: ArtifactRef,
  { what, timeoutMs = 120_000, signal }: FetchArtifactOptions,
): Promise<string> {
  try {
    return await artifacts.fetch(ref, { timeoutMs, ...(signal && { signal }) });
  } catch (cause) {
    signal?.throwIfAborted();
    throw new RuntimeError('RUNTIME_UNAVAILABLE', `expected ${what} to be fetched: ${messageOf(cause)}`, {
      cause,
    });
  }
}
