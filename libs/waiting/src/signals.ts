/** Abort signals that live as long as a process, waited for by work that does not. */
import { setMaxListeners } from 'node:events';

export interface LinkedSignal {
  readonly signal: AbortSignal;
  /** Makes the sources forget it. */
  release(): void;
}

/**
 * A signal that aborts with the first of its sources, and for its reason. Node 20 keeps what `AbortSignal.any` makes
 * for as long as the sources live; what this makes goes when it is released.
 */
export function linked(...sources: readonly (AbortSignal | undefined)[]): LinkedSignal {
  const controller = new AbortController();
  const unlink = sources.map((source) => linkTo(source, controller));
  return {
    signal: shareable(controller.signal),
    release: () => {
      for (const forget of unlink) forget();
    },
  };
}

/** Aborts `controller` when `signal` aborts, for the same reason, until the function that it returns is called. */
export function linkTo(signal: AbortSignal | undefined, controller: AbortController): () => void {
  if (!signal) return () => {};
  const onAbort = () => controller.abort(signal.reason);
  if (signal.aborted) onAbort();
  shareable(signal).addEventListener('abort', onAbort, { once: true });
  return () => signal.removeEventListener('abort', onAbort);
}

/**
 * What `work` comes to, unless the signal aborts first; then nobody hears how the work ends.
 *
 * @throws the reason of the signal; what `work` throws.
 */
export function untilAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(signal.reason);
    if (signal.aborted) onAbort();
    shareable(signal).addEventListener('abort', onAbort, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}

/** The signal, for any number of listeners: Node takes more than ten for a leak and warns. */
export function shareable(signal: AbortSignal): AbortSignal {
  setMaxListeners(0, signal);
  return signal;
}
