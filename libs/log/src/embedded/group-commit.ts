import { statfs } from 'node:fs/promises';
import { setImmediate as turn } from 'node:timers/promises';
import type { RootDatabase } from 'lmdb';
import { LogError } from '../errors.js';

/** A writer that gathers changes submitted at the same time into one LMDB transaction, and so into one sync. */
export interface GroupCommit {
  /**
   * Runs `change` inside a write transaction, in the order of the calls, and resolves with its result once that is on
   * disk. `change` must make its checks before its first write: changes of one transaction are kept or lost together.
   *
   * @param bytes about how much it writes.
   * @throws LogError LOG_WRITE_FAILED, or what `change` throws.
   */
  submit<T>(change: () => T, bytes: number): Promise<T>;
  /** Resolves when everything submitted has settled. */
  idle(): Promise<void>;
}

/** The most one transaction writes, because its changes run on this thread, which must not be held for long. */
const MAX_TRANSACTION_BYTES = 8 * 2 ** 20;

interface Pending {
  readonly bytes: number;
  run(): void;
  settle(failure?: LogError): void;
}

/** @param directory the folder of the log, whose free space is looked at after a write failed. */
export function createGroupCommit(root: RootDatabase, directory: string): GroupCommit {
  const queue: Pending[] = [];
  let writing: Promise<void> | undefined;
  /** Why the last write failed, if it did. */
  let failure: LogError | undefined;

  function nextGroup(): Pending[] {
    let bytes = 0;
    const fits = queue.findIndex((pending) => {
      bytes += pending.bytes;
      return bytes > MAX_TRANSACTION_BYTES;
    });
    return queue.splice(0, fits < 0 ? queue.length : Math.max(1, fits));
  }

  async function write(): Promise<void> {
    // Changes submitted within this turn of the event loop join the first group, as several threads may have answered in it:
    // a change that comes after it waits for two syncs.
    await turn();
    while (queue.length > 0) {
      const group = nextGroup();
      // LMDB prints a stack for every write that fails, so it is not asked to write to a disk that is known to be full.
      const stillFull = failure && (await isFull(directory)) ? failure : undefined;
      failure = stillFull ?? (await commit(group));
      for (const pending of group) pending.settle(failure);
    }
    writing = undefined;
  }

  async function commit(group: readonly Pending[]): Promise<LogError | undefined> {
    try {
      await root.transaction(() => {
        for (const pending of group) pending.run();
      });
      return undefined;
    } catch (error) {
      return writeFailed(error);
    }
  }

  return {
    submit(change, bytes) {
      return new Promise((resolve, reject) => {
        let settle = () => {};
        queue.push({
          bytes,
          run() {
            try {
              const result = change();
              settle = () => resolve(result);
            } catch (error) {
              settle = () => reject(error);
            }
          },
          settle(failure) {
            if (failure) reject(failure);
            else settle();
          },
        });
        writing ??= write();
      });
    },
    async idle() {
      await writing;
    },
  };
}

/** Free space below which a disk counts as full: a transaction writes a few pages beside its records. */
const LEAST_ROOM_BYTES = 1 << 18;

async function isFull(directory: string): Promise<boolean> {
  const { bavail, bsize } = await statfs(directory);
  return bavail * bsize < LEAST_ROOM_BYTES;
}

/** lmdb-js puts the cause of a failed commit into a promise of its own, `commitError`. */
async function writeFailed(error: unknown): Promise<LogError> {
  const cause = await (error as { commitError?: Promise<never> }).commitError?.catch(
    (reason: unknown) => reason,
  );
  const because = cause instanceof Error ? cause : error;
  return new LogError(
    'LOG_WRITE_FAILED',
    `The log could not write to disk, and kept nothing of it: ${because instanceof Error ? because.message : because}. See that the disk has room.`,
    { cause: because },
  );
}
