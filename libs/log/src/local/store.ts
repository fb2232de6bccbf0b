import { LogError } from '../errors.js';
import type { GroupCommit, LogRecord, TopicPartition, TopicSpec } from '../port.js';
import type { EnsureOptions } from './topics.js';

/** A record whose partition is known, and whose value no caller holds. */
export interface PlacedRecord extends TopicPartition {
  readonly key: string;
  readonly value: Uint8Array;
  readonly headers: Readonly<Record<string, string>>;
}

/** One atomic write: when it rejects, nothing of it is kept. */
export interface Append {
  readonly records: readonly PlacedRecord[];
  readonly commits: readonly GroupCommit[];
  /** The write is refused with LOG_FENCED unless `epoch` is the newest of transactional id `id`. */
  readonly producer?: { readonly id: string; readonly epoch: number };
}

/** Earliest offset kept, and the offset the next record gets. */
export interface Bounds {
  readonly earliest: number;
  readonly latest: number;
}

/**
 * What a log of one process stores; everything above it (groups, delivery, reads, producers) is shared. Reads are
 * synchronous, and see a write exactly when its `append` has resolved. Offsets are contiguous from 0 and never used twice.
 * Topics and partitions are known to exist when they reach the store.
 */
export interface RecordStore {
  topic(name: string): TopicSpec | undefined;
  /** Makes each topic what `ensured` says, then cleans it up (retention, compaction). */
  ensureTopics(specs: readonly TopicSpec[], options: EnsureOptions): Promise<void>;
  append(write: Append): Promise<void>;
  /** Records from offset `from` on: at most `maxRecords`, and no more than `maxBytes` unless the first is larger. */
  read(at: TopicPartition, from: number, maxRecords: number, maxBytes: number): LogRecord[];
  bounds(at: TopicPartition): Bounds;
  /** Removes the records before `offset`, which lies between the bounds; killed under way, it has removed a part, from the front. */
  trim(at: TopicPartition, offset: number): Promise<void>;
  /** Next offset to deliver to the group, if it ever committed one. */
  committed(group: string, at: TopicPartition): number | undefined;
  /** Raises and returns the epoch of a transactional id. */
  openProducer(id: string): Promise<number>;
  close(): Promise<void>;
}

/** What a store throws for an append of an older producer. */
export const fenced = (id: string): LogError =>
  new LogError(
    'LOG_FENCED',
    `A newer producer with transactional id ${id} exists: stop, another owner is at work.`,
  );
