/** Waits that end: deadlines and bounded retries. */
import { setMaxListeners } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { EventError } from '@rlhf-streams/events';
import pRetry from 'p-retry';
import { z } from 'zod';
import { RuntimeError } from './errors.js';

/**
 * The result of `work`, if it comes within `ms` milliseconds. A function is given a signal that aborts when the time
 * is up or `signal` aborts; what it does afterwards is nobody's concern.
 * @throws RuntimeError RUNTIME_DEADLINE naming `what` was waited for; the reason of `signal`.
 */
export async function withDeadline<T>(
  work: Promise<T> | ((signal: AbortSignal) => T | Promise<T>),
  ms: number,
  what: string,
  signal?: AbortSignal,
): Promise<T> {
  const controller = new AbortController();
  const unlink = linkSignal(signal, controller);
  const timer = setTimeout(() => {
    controller.abort(new RuntimeError('RUNTIME_DEADLINE', `expected ${what} within ${ms} ms`));
  }, ms);
  try {
    return await new Promise<T>((resolve, reject) => {
      const onAbort = () => reject(controller.signal.reason);
      controller.signal.addEventListener('abort', onAbort, { once: true });
      if (controller.signal.aborted) onAbort();
      if (typeof work !== 'function') work.then(resolve, reject);
      else if (!controller.signal.aborted) Promise.resolve(work(controller.signal)).then(resolve, reject);
    });
  } finally {
    clearTimeout(timer);
    unlink();
  }
}

/**
 * Aborts `controller` when `signal` aborts; the function returned ends that. Unlike AbortSignal.any it leaves
 * nothing behind on a signal that lives as long as the service.
 */
export function linkSignal(signal: AbortSignal | undefined, controller: AbortController): () => void {
  const onAbort = () => controller.abort(signal?.reason);
  // Every event of a batch listens to the batch's signal: that many listeners are no leak.
  if (signal) setMaxListeners(0, signal);
  if (signal?.aborted) onAbort();
  signal?.addEventListener('abort', onAbort, { once: true });
  return () => signal?.removeEventListener('abort', onAbort);
}

/** Resolves after `ms`, or at once when the signal aborts. */
export function pause(ms: number, signal: AbortSignal): Promise<void> {
  return sleep(ms, undefined, { signal }).catch((error) => {
    if (!signal.aborted) throw error;
  });
}

export interface RetryOptions {
  /** Attempts after the first. Default 3. */
  readonly retries?: number;
  /** Milliseconds before the first retry, doubled at each (and randomised up to twice that). Default 100. */
  readonly minDelayMs?: number;
  /** Default 5000. */
  readonly maxDelayMs?: number;
  readonly signal?: AbortSignal;
  readonly onRetry?: (error: Error, attempt: number) => void;
}

/**
 * Runs `work` until it succeeds, fails for good (`isRetriable`), or has used up its retries: then its last error.
 */
export function retry<T>(work: (attempt: number) => Promise<T>, options: RetryOptions = {}): Promise<T> {
  const { retries = 3, minDelayMs = 100, maxDelayMs = 5000, signal, onRetry } = options;
  return pRetry(work, {
    retries,
    minTimeout: minDelayMs,
    maxTimeout: maxDelayMs,
    randomize: true,
    signal,
    shouldRetry: ({ error }) => isRetriable(error),
    onFailedAttempt: ({ error, attemptNumber, retriesLeft }) => {
      // What was aborted is not tried again: whoever aborted it knows why it ended.
      if (retriesLeft > 0 && !signal?.aborted && isRetriable(error)) onRetry?.(error, attemptNumber);
    },
  });
}

/**
 * Whether the same work may succeed later. Not so: errors with `retriable: false`, data that does not fit its schema,
 * and TypeErrors (p-retry's rule: a bug, unless it is `fetch` reporting the network).
 */
export function isRetriable(error: unknown): boolean {
  return (
    (error as { retriable?: unknown })?.retriable !== false &&
    !(error instanceof EventError || error instanceof z.ZodError)
  );
}
