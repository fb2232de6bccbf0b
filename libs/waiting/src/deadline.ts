import { linkTo } from './signals.js';

/** A wait that took longer than it may. Its message names what was waited for. */
export class DeadlineError extends Error {
  override readonly name = 'DeadlineError';
  readonly code = 'RUNTIME_DEADLINE';
}

export interface Deadline {
  /** Milliseconds until the wait is given up. */
  readonly ms: number;
  /** What is waited for, for the message of the error; or the error itself. */
  readonly late: string | (() => Error);
  /** Gives the wait up when it aborts. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * The result of `work`, if it comes in time. A function is given a signal that aborts when the wait is given up; how
 * it ends after that is nobody's concern.
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
 * Waits for `work`, but no longer than `ms` milliseconds: whether it ended in time.
 *
 * @throws what `work` throws in time; what it throws later is nobody's concern.
 * @example if (!(await within(5000, handlers))) warn('handlers still run');
 */
export async function within(ms: number, work: Promise<unknown>): Promise<boolean> {
  const late = new Error('late');
  try {
    await withDeadline(work, { ms, late: () => late });
    return true;
  } catch (error) {
    if (error === late) return false;
    throw error;
  }
}
