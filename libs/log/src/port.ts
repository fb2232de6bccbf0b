/**
 * The port every adapter implements: an append-only, partitioned log of records with consumer groups,
 * positions and transactions, in Kafka's terms. Nothing outside an adapter knows which log it talks to.
 */

/** A topic as it should exist. `partitions` only ever grows. */
export interface TopicSpec {
  /** 1 to 249 letters, digits, `.`, `_` and `-`. */
  readonly name: string;
  readonly partitions: number;
  /** `delete`: records leave after `retentionMs`; `compact`: the last record of each key stays. */
  readonly cleanup: 'delete' | 'compact';
  /** Milliseconds a record is kept; undefined keeps it forever. Only for `cleanup: 'delete'`. */
  readonly retentionMs?: number;
  /** Copies of each partition. Default the brokers'; logs of one process keep one. */
  readonly replication?: number;
  /** Further settings in Kafka's names; logs of one process have none. */
  readonly settings?: Readonly<Record<string, string>>;
}

/** How a topic differs from its specification. */
export interface TopicChange {
  readonly topic: string;
  readonly kind: 'create' | 'partitions' | 'replication' | 'setting';
  /** The setting's name, in Kafka's. */
  readonly setting?: string;
  readonly from?: string;
  readonly to: string;
  /** false: the log will not change that; `note` says why. */
  readonly applies: boolean;
  readonly note?: string;
}

/**
 * A record to publish. Records of equal `key` go to the same partition, in the order published. Key and headers are
 * well-formed text, a value given as a string is stored as UTF-8; the whole has at most `MAX_RECORD_BYTES`.
 */
export interface NewRecord {
  readonly topic: string;
  readonly key: string;
  readonly value: string | Uint8Array;
  readonly headers?: Readonly<Record<string, string>>;
}

/** A record as the log holds it. */
export interface LogRecord {
  readonly topic: string;
  readonly partition: number;
  /** Place in its partition: strictly increasing, not always contiguous (transaction markers, compaction). */
  readonly offset: number;
  readonly key: string;
  readonly value: Uint8Array;
  readonly headers: Readonly<Record<string, string>>;
  /** Milliseconds since the epoch at which the log accepted the record. */
  readonly timestamp: number;
}

export interface TopicPartition {
  readonly topic: string;
  readonly partition: number;
}

/** Next offset to read, by topic and then partition: `positions.rollouts[3]`. Plain JSON. */
export type Positions = Readonly<Record<string, readonly number[]>>;

/** Records of one partition, in offset order, never empty. */
export interface Batch extends TopicPartition {
  readonly records: readonly LogRecord[];
}

export interface BatchContext {
  /** Aborted when the partition is being revoked or the subscription closes: stop soon, leave the rest uncommitted. */
  readonly signal: AbortSignal;
  /**
   * Commit every record of this batch up to and including `record`; a later failure of the handler redelivers
   * only what follows. Without a call, the whole batch is committed when the handler returns.
   * @throws LogError LOG_REVOKED when the partition is another member's by now; LOG_INVALID for a record not of the batch.
   */
  commit(record: LogRecord): Promise<void>;
}

export interface SubscribeOptions {
  /** Members of one group share the partitions of `topics`; each partition belongs to one member at a time. */
  readonly group: string;
  readonly topics: readonly string[];
  /**
   * Where a partition without a committed offset begins. Default `earliest`. What comes after `latest` is known for
   * certain only once a first record arrives: a broker finds that place some time after `subscribe` resolves.
   */
  readonly from?: 'earliest' | 'latest';
  /** At most so many records a batch. Default 500. */
  readonly maxBatchRecords?: number;
  /**
   * Handles one batch. Batches of one partition come one after another, those of different partitions
   * concurrently. If it throws, the uncommitted rest is delivered again after `retryDelayMs`, and `onError` is told;
   * offsets that a transaction of the handler committed count as committed.
   * If `signal` is aborted when it returns, nothing is committed but what `commit` was called for.
   * Left out: the member takes part in the assignment and is delivered nothing.
   */
  readonly onBatch?: (batch: Batch, context: BatchContext) => Promise<void>;
  /** Called before the first batch of newly assigned partitions. */
  readonly onAssigned?: (partitions: readonly TopicPartition[]) => void;
  /** Called, and awaited (`revokeTimeoutMs`), before the partitions go to another member. */
  readonly onRevoked?: (partitions: readonly TopicPartition[]) => Promise<void>;
  /** Told of what `onBatch` throws. Default: a warning of the process. */
  readonly onError?: (error: unknown, batch: Batch) => void;
  /** Default 200 ms, doubled at each failure of the same batch up to 5 s. */
  readonly retryDelayMs?: number;
  /** Default 30 s. */
  readonly revokeTimeoutMs?: number;
}

export interface Subscription {
  assignment(): readonly TopicPartition[];
  /** Leaves the group: aborts running handlers' signals, awaits them (`revokeTimeoutMs`), commits what they finished. */
  close(): Promise<void>;
}

export interface ReadOptions {
  /** Topics to read; all partitions of each. */
  readonly topics: readonly string[];
  /** Where to begin. A topic or partition not named begins at its earliest record. Default: the earliest. */
  readonly from?: Positions;
  /** Only records of these partitions. Default all. */
  readonly partitions?: readonly number[];
  /**
   * true: wait for new records until `signal` aborts; false: end with what was written as of the call. A transaction
   * under way then is waited for: it may hide records that were published after it.
   */
  readonly follow: boolean;
  readonly signal?: AbortSignal;
  readonly maxBatchRecords?: number;
}

/** Offsets of a group to commit with a transaction: the next offset to deliver. */
export interface GroupCommit extends TopicPartition {
  readonly group: string;
  readonly offset: number;
}

/** A producer that alone may write under its transactional id: opening it fences every earlier one. */
export interface TransactionalProducer {
  /**
   * Publishes all records and commits all offsets, or nothing of either. Readers never see a part.
   * @throws LogError LOG_FENCED when a newer producer with the same id exists: stop, another owner is at work.
   */
  transact(work: {
    readonly records: readonly NewRecord[];
    readonly commits?: readonly GroupCommit[];
  }): Promise<void>;
  close(): Promise<void>;
}

/** Methods reject with LogError LOG_UNKNOWN_TOPIC for topics never ensured, and LOG_CLOSED once closed. */
export interface EventLog {
  /**
   * Creates what is missing, adds partitions; never removes. With `settings` also sets retention, cleanup and further
   * settings of topics that exist.
   */
  ensureTopics(topics: readonly TopicSpec[], options?: { readonly settings?: boolean }): Promise<void>;
  /** What `ensureTopics` with settings would change, and what differs that it would not. */
  planTopics(topics: readonly TopicSpec[]): Promise<readonly TopicChange[]>;
  /** Resolves when every record is durable. Records of one call keep their order within a partition. */
  publish(records: readonly NewRecord[]): Promise<void>;
  transactional(id: string): Promise<TransactionalProducer>;
  subscribe(options: SubscribeOptions): Promise<Subscription>;
  /** Every committed record from the given positions, without a group. Ends quietly when `signal` aborts. */
  read(options: ReadOptions): AsyncIterable<Batch>;
  positions(topics: readonly string[]): Promise<{ readonly earliest: Positions; readonly latest: Positions }>;
  /** Records not yet committed by `group`, by topic and partition. */
  lag(group: string, topics: readonly string[]): Promise<Positions>;
  /** Closes subscriptions, whose handlers may still publish what they finish, and ends reads. Idempotent. */
  close(): Promise<void>;
}
