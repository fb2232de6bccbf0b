import { createLog, type LogAdapter, partitionKey, recordBytes } from '../core/index.js';
import { partitionOf } from '../core/murmur2.js';
import { LogError } from '../errors.js';
import type { EventLog, GroupCommit, NewRecord, Positions, TopicPartition, TopicSpec } from '../port.js';
import type { DeliveryFaults } from './faults.js';
import { createGroup, type Group } from './group.js';
import { readBatches } from './reader.js';
import type { Append, PlacedRecord, RecordStore } from './store.js';
import { localChanges } from './topics.js';
import { createWakeups } from './wakeups.js';

/** The log of a single process over a store: what the memory and the embedded log share. */
export const createLocalLog = (store: RecordStore, faults?: DeliveryFaults): EventLog =>
  createLog(localAdapter(store, faults));

function localAdapter(store: RecordStore, faults: DeliveryFaults | undefined): LogAdapter {
  const wakeups = createWakeups();
  const context = { store, wakeups, faults };
  const groups = new Map<string, Group>();

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

  function checkPartition({ topic, partition }: GroupCommit): void {
    if (!(Number.isInteger(partition) && partition >= 0 && partition < topicOf(topic).partitions))
      throw new LogError('LOG_UNKNOWN_TOPIC', `Topic ${topic} has no partition ${partition}.`);
  }

  async function append(write: Append): Promise<void> {
    if (write.records.length === 0 && write.commits.length === 0 && !write.producer) return;
    await store.append(write);
    wakeups.wake(new Set(write.records.map(({ topic }) => topic)));
  }

  return {
    async ensureTopics(topics, options) {
      await store.ensureTopics(topics, options);
      for (const group of groups.values()) group.reconcile();
      wakeups.wake(topics.map(({ name }) => name));
    },

    planTopics: async (topics) => topics.flatMap((spec) => localChanges(store.topic(spec.name), spec)),

    publish: async (records) => append({ records: records.map(place), commits: [] }),

    async openProducer(id) {
      const epoch = await store.openProducer(id);
      return {
        async transact(records, commits) {
          commits.forEach(checkPartition);
          await append({ records: records.map(place), commits, producer: { id, epoch } });
        },
      };
    },

    async join(options) {
      for (const topic of options.topics) topicOf(topic);
      const group = groups.get(options.group) ?? createGroup(context);
      groups.set(options.group, group);
      return group.join(options);
    },

    read(plan) {
      for (const topic of plan.topics) topicOf(topic);
      return readBatches(context, plan);
    },

    positions: async (topics) => ({
      earliest: byTopic(topics, (at) => store.bounds(at).earliest),
      latest: byTopic(topics, (at) => store.bounds(at).latest),
    }),

    async trim(before) {
      for (const { topic } of before)
        if (topicOf(topic).cleanup === 'compact')
          throw new LogError('LOG_INVALID', `Topic ${topic} is compacted: it cannot be trimmed.`);
      for (const { offset, ...at } of before) await store.trim(at, offset);
    },

    async committed(group, partitions) {
      const found = partitions.map((at) => [partitionKey(at), store.committed(group, at)] as const);
      return new Map(found.filter((each): each is [string, number] => each[1] !== undefined));
    },

    close: () => store.close(),
  };
}
