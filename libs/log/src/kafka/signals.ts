/** Signals that last as long as a process, waited for by much that does not. */
import { setMaxListeners } from 'node:events';
import { LogError } from '../errors.js';

export interface LinkedSignal {
  readonly signal: AbortSignal;
  /** Its sources forget it. */
  release(): void;
}

/**
 * Aborts with the first of its sources. `AbortSignal.any` would do, but what it makes is kept as long as its sources
 * live (Node 20), and here they live as long as the process.
 */
export function linked(...sources: readonly (AbortSignal | undefined)[]): LinkedSignal {
  const controller = new AbortController();
  const abort = () => controller.abort();
  const given = sources.filter((source) => source !== undefined);
  for (const source of given) {
    shareable(source);
    source.addEventListener('abort', abort, { once: true });
    if (source.aborted) abort();
  }
  return {
    signal: shareable(controller.signal),
    release() {
      for (const source of given) source.removeEventListener('abort', abort);
    },
  };
}

/** The signal, which many may wait for: Node takes more than ten for a leak. */
export function shareable(signal: AbortSignal): AbortSignal {
  setMaxListeners(0, signal);
  return signal;
}

/**
 * `work`, unless it is `end` (of `performance.now()`) or `signal` aborts before.
 * @throws what `late` makes; LogError LOG_CLOSED.
 */
export function unlessEnded<T>(
  work: Promise<T>,
  { end, signal, late }: { readonly end: number; readonly signal: AbortSignal; readonly late: () => Error },
): Promise<T> {
  return new Promise((resolve, reject) => {
    const settle = (settled: () => void) => {
      clearTimeout(timer);
      signal.removeEventListener('abort', stop);
      settled();
    };
    const stop = () => settle(() => reject(new LogError('LOG_CLOSED', 'The log was closed.')));
    const timer = setTimeout(() => settle(() => reject(late())), Math.max(0, end - performance.now()));
    signal.addEventListener('abort', stop, { once: true });
    work.then(
      (value) => settle(() => resolve(value)),
      (error: unknown) => settle(() => reject(error)),
    );
  });
}
