import { linkTo, untilAborted } from './signals.js';

/** A wait that took longer than it may. Its message names what was waited for. */
export class DeadlineError extends Error {
  override readonly name = 'DeadlineError';
  readonly code = 'RUNTIME_DEADLINE';
}

export interface Deadline {
  /** Milliseconds until the wait is given up, at most `FOREVER_MS`. */
  readonly ms: number;
  /** What is waited for, for the message of the error; or the error itself. */
  readonly late: string | (() => Error);
  /** Gives the wait up when it aborts. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * The result of `work`, if it comes in time. A function is given a signal that aborts when the wait is given up; nobody
 * hears how it ends after that.
 *
 * @throws DeadlineError RUNTIME_DEADLINE, or what `late` makes; the reason of `signal`; what `work` throws.
 * @example await withDeadline((signal) => fetch(url, { signal }), { ms: 1000, late: 'the store to answer' });
 */
export async function withDeadline<T>(
  work: Promise<T> | ((signal: AbortSignal) => T | Promise<T>),
  { ms, late, signal }: Deadline,
): Promise<T> {
  const controller = new AbortController();
  const unlink = linkTo(signal, controller);
  const timer = setTimeout(() => {
    const error = typeof late === 'string' ? new DeadlineError(`expected ${late} within ${ms} ms`) : late();
    controller.abort(error);
  }, ms);
  try {
    if (typeof work !== 'function') return await untilAborted(work, controller.signal);
    controller.signal.throwIfAborted();
    return await untilAborted(Promise.resolve(work(controller.signal)), controller.signal);
  } finally {
    clearTimeout(timer);
    unlink();
  }
}
