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
  /** The replication factor. Default the brokers'; a log of one process keeps one copy. */
  readonly replication?: number;
  /** Further settings in Kafka's names, which a log of one process ignores. */
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
  /** false: `ensureTopics` will not change this; `note` says why. */
  readonly applies: boolean;
  readonly note?: string;
}

/**
 * A record to publish. Records of equal `key` go to the same partition, in the order published. Key and headers are
 * well-formed text, and a string as value is stored as UTF-8. All of it together has at most `MAX_RECORD_BYTES`.
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
  /** Place in its partition: strictly increasing, with gaps where control records or compacted records are. */
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

/** The next offset to read, by topic and then partition (`positions.rollouts[3]`), as plain JSON. */
export type Positions = Readonly<Record<string, readonly number[]>>;

/** Records of one partition, in offset order, never empty. */
export interface Batch extends TopicPartition {
  readonly records: readonly LogRecord[];
}

export interface BatchContext {
  /** Aborts when the partition is being revoked or the subscription closes: stop soon, and leave the rest uncommitted. */
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
   * Where a partition without a committed offset begins. Default `earliest`. The end that `latest` means is looked up
   * some time after `subscribe` resolves, so records published right after that may be before it.
   */
  readonly from?: 'earliest' | 'latest';
  /** The most records of a batch. Default 500. */
  readonly maxBatchRecords?: number;
  /**
   * Handles one batch. Batches of one partition come one after another, those of different partitions concurrently.
   * If it throws, `onError` is called, and the uncommitted rest is delivered again after `retryDelayMs`; offsets that a
   * transaction of the handler committed count as committed. If `signal` has aborted when it returns, nothing is
   * committed but what `commit` was called for. A member without `onBatch` is assigned partitions, and nothing is
   * delivered to it.
   */
  readonly onBatch?: (batch: Batch, context: BatchContext) => Promise<void>;
  /** Called before the first batch of newly assigned partitions. */
  readonly onAssigned?: (partitions: readonly TopicPartition[]) => void;
  /** Called before partitions go to another member, and awaited for `revokeTimeoutMs` at most. */
  readonly onRevoked?: (partitions: readonly TopicPartition[]) => Promise<void>;
  /** Called with what `onBatch` throws. Default: a warning of the process. */
  readonly onError?: (error: unknown, batch: Batch) => void;
  /** Milliseconds until a failed batch comes again; doubled at each further failure, up to 5 s. Default 200. */
  readonly retryDelayMs?: number;
  /** Milliseconds that handlers, and then `onRevoked`, are waited for when partitions are revoked. Default 30 000. */
  readonly revokeTimeoutMs?: number;
}

export interface Subscription {
  assignment(): readonly TopicPartition[];
  /** Leaves the group: the signals of running handlers abort, and handlers are awaited, for `revokeTimeoutMs` at most. */
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
   * true: waits for new records until `signal` aborts. false: ends with what was written when the reading began, which
   * waits for transactions that are open then, because they may hide records that were published after them.
   */
  readonly follow: boolean;
  readonly signal?: AbortSignal;
  readonly maxBatchRecords?: number;
}

/** A group's next offset to deliver, to be committed with a transaction. */
export interface GroupCommit extends TopicPartition {
  readonly group: string;
  readonly offset: number;
}

/** A producer that alone may write under its transactional id: opening it fences every earlier one. */
export interface TransactionalProducer {
  /**
   * Publishes all records and commits all offsets, or nothing of either; readers never see a part. Once it resolves, a
   * read without `follow`, and whatever asks for the group's offsets, sees all of it.
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
   * Creates missing topics and adds missing partitions; removes nothing. With `settings` it also sets retention, cleanup
   * and further settings of topics that exist.
   */
  ensureTopics(topics: readonly TopicSpec[], options?: { readonly settings?: boolean }): Promise<void>;
  /** What differs from the specifications, whether or not `ensureTopics` with settings would change it. */
  planTopics(topics: readonly TopicSpec[]): Promise<readonly TopicChange[]>;
  /** Resolves when every record is durable. Records of one call keep their order within a partition. */
  publish(records: readonly NewRecord[]): Promise<void>;
  transactional(id: string): Promise<TransactionalProducer>;
  subscribe(options: SubscribeOptions): Promise<Subscription>;
  /** Every committed record from the given positions, without a group. Ends quietly when `signal` aborts. */
  read(options: ReadOptions): AsyncIterable<Batch>;
  positions(topics: readonly string[]): Promise<{ readonly earliest: Positions; readonly latest: Positions }>;
  /**
   * Deletes the records before these offsets, for good; the offsets of those that stay do not change. Partitions that
   * are not named keep theirs, and an offset at or before the earliest record deletes nothing. Killed under way, it
   * has deleted a part, from the front.
   * @throws LogError LOG_INVALID for an offset past the end, and for a compacted topic.
   */
  trim(before: Positions): Promise<void>;
  /** Records not yet committed by `group`, by topic and partition. */
  lag(group: string, topics: readonly string[]): Promise<Positions>;
  /** Closes subscriptions, whose handlers may still publish what they finish meanwhile, and ends reads. Idempotent. */
  close(): Promise<void>;
}
