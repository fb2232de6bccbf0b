/** How a log closes: what may still be called meanwhile, and what is awaited. */
import { within } from '@rlhf-streams/waiting';
import { LogError } from '../errors.js';

export interface Closing {
  /** Aborts when the log begins to close. */
  readonly signal: AbortSignal;
  /** @throws LogError LOG_CLOSED once the log began to close. */
  assertOpen(): void;
  /**
   * While subscriptions end, their handlers may still publish what they finished.
   * @throws LogError LOG_CLOSED once subscriptions have ended.
   */
  assertWritable(): void;
  /** Has `close` wait for this write. */
  track<T>(write: Promise<T>): Promise<T>;
  /** Idempotent: every call resolves when the log has closed. */
  close(): Promise<void>;
}

const WRITES_TIMEOUT_MS = 10_000;

export function createClosing(
  endSubscriptions: () => Promise<unknown>,
  closeAdapter: () => Promise<void>,
): Closing {
  const ending = new AbortController();
  const writes = new Set<Promise<unknown>>();
  let closed: Promise<void> | undefined;
  let sealed = false;

  const assertOpen = () => {
    if (closed) throw new LogError('LOG_CLOSED', 'The log is closed: open it again to use it.');
  };

  async function close(): Promise<void> {
    ending.abort();
    await endSubscriptions();
    sealed = true;
    await within(WRITES_TIMEOUT_MS, Promise.all(writes));
    await closeAdapter();
  }

  return {
    signal: ending.signal,
    assertOpen,
    assertWritable() {
      if (sealed) assertOpen();
    },
    track(write) {
      const tracked = write
        .then(
          () => {},
          () => {},
        )
        .finally(() => writes.delete(tracked));
      writes.add(tracked);
      return write;
    },
    close() {
      closed ??= close();
      return closed;
    },
  };
}
