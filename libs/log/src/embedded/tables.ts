import type { Database, RootDatabase } from 'lmdb';
import type { Bounds } from '../local/store.js';
import type { TopicSpec } from '../port.js';

/** Tables of the log: one LMDB database each, all under the same transactions. */
export interface Tables {
  /** [topic, partition, offset] -> record. */
  readonly records: Database<Buffer, [string, number, number]>;
  /** [topic, partition] -> bounds. Kept apart from the records, so that no offset returns when they are gone. */
  readonly bounds: Database<Bounds, [string, number]>;
  readonly topics: Database<TopicSpec, string>;
  /** [group, topic, partition] -> next offset to deliver. */
  readonly commits: Database<number, [string, string, number]>;
  /** Transactional id -> epoch. */
  readonly producers: Database<number, string>;
}

export const openTables = (root: RootDatabase): Tables => ({
  records: root.openDB({ name: 'records', encoding: 'binary' }),
  bounds: root.openDB({ name: 'bounds', encoding: 'json' }),
  topics: root.openDB({ name: 'topics', encoding: 'json' }),
  commits: root.openDB({ name: 'commits', encoding: 'json' }),
  producers: root.openDB({ name: 'producers', encoding: 'json' }),
});
