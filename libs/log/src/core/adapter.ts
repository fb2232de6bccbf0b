import type {
  Batch,
  GroupCommit,
  NewRecord,
  Positions,
  Subscription,
  TopicChange,
  TopicPartition,
  TopicSpec,
} from '../port.js';
import type { MemberOptions, ReadPlan } from './options.js';

/**
 * What a kind of log does itself; `createLog` makes an `EventLog` of it. Options reach an adapter checked and with
 * their defaults, and nothing is called once the log is closed. Every method rejects with LOG_UNKNOWN_TOPIC for topics
 * and partitions that do not exist.
 */
export interface LogAdapter {
  ensureTopics(topics: readonly TopicSpec[], options: { readonly settings: boolean }): Promise<void>;
  planTopics(topics: readonly TopicSpec[]): Promise<readonly TopicChange[]>;
  publish(records: readonly NewRecord[]): Promise<void>;
  openProducer(id: string): Promise<AdapterProducer>;
  join(options: MemberOptions): Promise<Subscription>;
  /** Ends, or throws anything, when the plan's signal aborts. */
  read(plan: ReadPlan): AsyncIterable<Batch>;
  positions(topics: readonly string[]): Promise<{ readonly earliest: Positions; readonly latest: Positions }>;
  /** Deletes the records of a topic with `cleanup: 'delete'` before offsets that lie within the log. */
  trim(before: readonly (TopicPartition & { readonly offset: number })[]): Promise<void>;
  /** The group's next offset to deliver, by partition key; partitions without a commit are left out. */
  committed(group: string, partitions: readonly TopicPartition[]): Promise<ReadonlyMap<string, number>>;
  /** Called once, when subscriptions have ended and the signals of reads have aborted. */
  close(): Promise<void>;
}

export interface AdapterProducer {
  /** Calls may overlap; they take effect in their order. */
  transact(records: readonly NewRecord[], commits: readonly GroupCommit[]): Promise<void>;
}
