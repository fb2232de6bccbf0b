/** Waiting with an end: limits, and work that several callers share. */
import { ArtifactError } from './errors.js';
import type { FetchOptions } from './port.js';

const DEFAULT_TIMEOUT_MS = 10 * 60 * 1000;

/**
 * Runs `work` until it ends, the caller's signal aborts or the time is up; `work` is told of both by its signal.
 * @throws ArtifactError ARTIFACT_TIMEOUT naming `what`; the caller's signal's reason.
 */
export async function limited<T>(
  { signal, timeoutMs = DEFAULT_TIMEOUT_MS }: FetchOptions,
  what: string,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  signal?.throwIfAborted();
  const controller = new AbortController();
  const onAbort = () => controller.abort(signal?.reason);
  signal?.addEventListener('abort', onAbort, { once: true });
  const timer = setTimeout(() => {
    controller.abort(new ArtifactError('ARTIFACT_TIMEOUT', `expected ${what} within ${timeoutMs} ms`));
  }, timeoutMs);
  try {
    return await untilAborted(work(controller.signal), controller.signal);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', onAbort);
  }
}

/** Work that runs once for all who join it, and is aborted when the last of them has left. */
export interface SharedWork<T> {
  join(signal: AbortSignal): Promise<T>;
}

export function shareWork<T>(
  work: (signal: AbortSignal) => Promise<T>,
  onAbandoned: () => void,
): SharedWork<T> {
  const controller = new AbortController();
  const result = work(controller.signal);
  let waiting = 0;
  let settled = false;
  const settle = () => {
    settled = true;
  };
  result.then(settle, settle);
  return {
    join: async (signal) => {
      waiting++;
      try {
        return await untilAborted(result, signal);
      } finally {
        waiting--;
        if (waiting === 0 && !settled) {
          onAbandoned();
          controller.abort(new ArtifactError('ARTIFACT_TIMEOUT', 'nobody waits for it any more'));
        }
      }
    },
  };
}

function untilAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(signal.reason);
    if (signal.aborted) onAbort();
    signal.addEventListener('abort', onAbort, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}

/**
 * Runs `work` for every item, `limit` at a time; an item is taken when its turn comes. When one fails, the others are
 * told by their signal and waited for, and the first error is thrown.
 */
export async function inParallel<T>(
  items: Iterable<T> | AsyncIterable<T>,
  limit: number,
  signal: AbortSignal,
  work: (item: T, signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const failed = new AbortController();
  const either = AbortSignal.any([signal, failed.signal]);
  const errors: unknown[] = [];
  const queue = (async function* () {
    yield* items;
  })();
  const worker = async () => {
    try {
      for await (const item of queue) {
        either.throwIfAborted();
        await work(item, either);
      }
    } catch (error) {
      errors.push(error);
      failed.abort(error);
    }
  };
  await Promise.all(Array.from({ length: limit }, worker));
  if (errors.length > 0) throw errors[0];
}
