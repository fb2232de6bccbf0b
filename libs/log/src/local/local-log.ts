import { LogError, warn } from '../errors.js';
import { partitionOf } from '../murmur2.js';
import type {
  EventLog,
  GroupCommit,
  NewRecord,
  Positions,
  SubscribeOptions,
  TopicPartition,
  TopicSpec,
} from '../port.js';
import { checkName, checkNumber, checkOffset, checkTopic, recordBytes } from '../validate.js';
import type { DeliveryFaults } from './faults.js';
import { createGroup, type Group, type MemberOptions } from './group.js';
import { readBatches } from './reader.js';
import type { Append, PlacedRecord, RecordStore } from './store.js';
import { localChanges } from './topics.js';
import { createWakeups } from './wakeups.js';

const DEFAULT_BATCH_RECORDS = 500;

/** The log of a single process over a store: what the memory and the embedded adapter share. */
export function createLocalLog(store: RecordStore, faults?: DeliveryFaults): EventLog {
  const wakeups = createWakeups();
  const context = { store, wakeups, faults };
  const groups = new Map<string, Group>();
  const ending = new AbortController();
  let closed: Promise<void> | undefined;
  let sealed = false;

  function assertOpen(): void {
    if (closed) throw new LogError('LOG_CLOSED', 'The log is closed: open it again to use it.');
  }

  /** While subscriptions end, their handlers may still publish what they finished. */
  function assertWritable(): void {
    if (sealed) assertOpen();
  }

  function topicOf(name: string): TopicSpec {
    const topic = store.topic(name);
    if (!topic)
      throw new LogError(
        'LOG_UNKNOWN_TOPIC',
        `There is no topic ${JSON.stringify(name)}: create it with ensureTopics.`,
      );
    return topic;
  }

  function partitionsOf(name: string): TopicPartition[] {
    return Array.from({ length: topicOf(name).partitions }, (_, partition) => ({ topic: name, partition }));
  }

  const byTopic = (topics: readonly string[], offset: (at: TopicPartition) => number): Positions =>
    Object.fromEntries(topics.map((topic) => [topic, partitionsOf(topic).map(offset)]));

  function place(record: NewRecord): PlacedRecord {
    const { topic, key, headers = {} } = record;
    const { partitions } = topicOf(topic);
    const value = recordBytes(record);
    return { topic, partition: partitionOf(key, partitions), key, value, headers: { ...headers } };
  }

  function checkCommit({ group, topic, partition, offset }: GroupCommit): void {
    checkName('group', group);
    checkOffset('A committed offset', offset);
    if (!(Number.isInteger(partition) && partition >= 0 && partition < topicOf(topic).partitions))
      throw new LogError('LOG_UNKNOWN_TOPIC', `Topic ${topic} has no partition ${partition}.`);
  }

  async function append(write: Append): Promise<void> {
    if (write.records.length === 0 && write.commits.length === 0 && !write.producer) return;
    await store.append(write);
    wakeups.wake(new Set(write.records.map(({ topic }) => topic)));
  }

  function memberOptions(options: SubscribeOptions): MemberOptions {
    const { group, topics, maxBatchRecords = DEFAULT_BATCH_RECORDS } = options;
    const { retryDelayMs = 200, revokeTimeoutMs = 30_000 } = options;
    checkName('group', group);
    checkNumber('maxBatchRecords', maxBatchRecords, 1);
    checkNumber('retryDelayMs', retryDelayMs, 0);
    checkNumber('revokeTimeoutMs', revokeTimeoutMs, 0);
    if (topics.length === 0)
      throw new LogError('LOG_INVALID', `Group ${group} subscribes to no topic: name one.`);
    for (const topic of topics) topicOf(topic);
    return {
      onAssigned: () => {},
      onRevoked: async () => {},
      onError: warn,
      from: 'earliest',
      ...options,
      maxBatchRecords,
      retryDelayMs,
      revokeTimeoutMs,
    };
  }

  async function close(): Promise<void> {
    ending.abort();
    await Promise.all([...groups.values()].map((group) => group.close()));
    sealed = true;
    await store.close();
  }

  return {
    async ensureTopics(topics, { settings = false } = {}) {
      assertOpen();
      topics.forEach(checkTopic);
      await store.ensureTopics(topics, { settings });
      for (const group of groups.values()) group.reconcile();
      wakeups.wake(topics.map(({ name }) => name));
    },

    async planTopics(topics) {
      assertOpen();
      topics.forEach(checkTopic);
      return topics.flatMap((spec) => localChanges(store.topic(spec.name), spec));
    },

    async publish(records) {
      assertWritable();
      await append({ records: records.map(place), commits: [] });
    },

    async transactional(id) {
      assertOpen();
      checkName('transactional id', id);
      const epoch = await store.openProducer(id);
      let open = true;
      return {
        async transact({ records, commits = [] }) {
          assertWritable();
          if (!open) throw new LogError('LOG_CLOSED', `Producer ${id} is closed: open another.`);
          commits.forEach(checkCommit);
          await append({ records: records.map(place), commits, producer: { id, epoch } });
        },
        async close() {
          open = false;
        },
      };
    },

    async subscribe(options) {
      assertOpen();
      const member = memberOptions(options);
      const group = groups.get(member.group) ?? createGroup(context);
      groups.set(member.group, group);
      return group.join(member);
    },

    read({ topics, from = {}, partitions, follow, signal, maxBatchRecords = DEFAULT_BATCH_RECORDS }) {
      assertOpen();
      checkNumber('maxBatchRecords', maxBatchRecords, 1);
      for (const topic of topics) topicOf(topic);
      for (const [topic, offsets] of Object.entries(from))
        for (const offset of offsets) checkOffset(`The position in ${topic}`, offset);
      const signals = [ending.signal, ...(signal ? [signal] : [])];
      return readBatches(context, { topics, partitions, follow, from, maxBatchRecords, signals });
    },

    async positions(topics) {
      assertOpen();
      return {
        earliest: byTopic(topics, (at) => store.bounds(at).earliest),
        latest: byTopic(topics, (at) => store.bounds(at).latest),
      };
    },

    async lag(group, topics) {
      assertOpen();
      return byTopic(topics, (at) => {
        const { earliest, latest } = store.bounds(at);
        return latest - Math.min(latest, Math.max(earliest, store.committed(group, at) ?? 0));
      });
    },

    close() {
      closed ??= close();
      return closed;
    },
  };
}
