import { createLocalLog } from '../local/local-log.js';
import type { EventLog } from '../port.js';
import { openLmdbStore } from './lmdb-store.js';

export interface EmbeddedLogOptions {
  /** Folder of the log; created if missing. One process at a time may have it open. */
  readonly directory: string;
  /** The clock of timestamps and retention. Default `Date.now`. */
  readonly now?: () => number;
}

/**
 * Opens a durable log on LMDB in a folder of this machine. When `publish`, `transact` or a commit resolves, its data are
 * synced to disk, and readers see nothing before that; calls made at the same time share a transaction and a sync.
 * Retention and compaction happen on opening and in `ensureTopics`.
 *
 * @throws LogError LOG_LOCKED when a process that still runs has the folder open (the message names it);
 *   LOG_CORRUPT when the folder holds something else, or damaged data; LOG_TOO_NEW when a newer build wrote it.
 */
export async function embeddedLog({ directory, now = Date.now }: EmbeddedLogOptions): Promise<EventLog> {
  return createLocalLog(await openLmdbStore(directory, now));
}
