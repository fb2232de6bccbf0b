import type {
  Batch,
  EventLog,
  LogRecord,
  Positions,
  SubscribeOptions,
  TopicPartition,
  TopicSpec,
} from '@rlhf-streams/log';
import { checkName, checkTopic } from '@rlhf-streams/log/core';

/**
 * A log within a log: `prefix` stands before the names of its topics, groups and transactional ids, and its users
 * see only what follows the prefix.
 */
export function prefixed(log: EventLog, prefix: string): EventLog {
  const name = (plain: string) => `${prefix}${plain}`;
  const names = (plain: readonly string[]) => plain.map(name);
  const strip = (full: string) => full.slice(prefix.length);
  const inside = <P extends TopicPartition>(at: P): P => ({ ...at, topic: strip(at.topic) });
  const outside = <P extends { readonly topic: string }>(at: P): P => ({ ...at, topic: name(at.topic) });
  const outsideSpec = (spec: TopicSpec): TopicSpec => {
    checkTopic(spec);
    return { ...spec, name: name(spec.name) };
  };
  const plainBatch = ({ records, ...at }: Batch): Batch => ({ ...inside(at), records: records.map(inside) });
  const plainPositions = (positions: Positions): Positions =>
    Object.fromEntries(Object.entries(positions).map(([topic, offsets]) => [strip(topic), offsets]));

  return {
    ensureTopics: async (topics, options) => log.ensureTopics(topics.map(outsideSpec), options),
    planTopics: async (topics) => {
      const changes = await log.planTopics(topics.map(outsideSpec));
      return changes.map((change) => ({ ...change, topic: strip(change.topic) }));
    },
    publish: (records) => log.publish(records.map(outside)),
    async transactional(id) {
      checkName('transactional id', id);
      const producer = await log.transactional(name(id));
      return {
        transact: ({ records, commits = [] }) =>
          producer.transact({
            records: records.map(outside),
            commits: commits.map((commit) => ({ ...outside(commit), group: name(commit.group) })),
          }),
        close: () => producer.close(),
      };
    },
    async subscribe(options) {
      checkName('group', options.group);
      const subscription = await log.subscribe({
        ...options,
        group: name(options.group),
        topics: names(options.topics),
        ...prefixedHandlers(options),
      });
      return {
        assignment: () => subscription.assignment().map(inside),
        close: () => subscription.close(),
      };
    },
    read({ topics, from, ...options }) {
      const positions = from && Object.entries(from).map(([topic, offsets]) => [name(topic), offsets]);
      return plainBatches(
        log.read({
          ...options,
          topics: names(topics),
          ...(positions && { from: Object.fromEntries(positions) }),
        }),
      );
    },
    async positions(topics) {
      const { earliest, latest } = await log.positions(names(topics));
      return { earliest: plainPositions(earliest), latest: plainPositions(latest) };
    },
    trim: (before) =>
      log.trim(Object.fromEntries(Object.entries(before).map(([topic, offsets]) => [name(topic), offsets]))),
    lag: async (group, topics) => plainPositions(await log.lag(name(group), names(topics))),
    close: () => log.close(),
  };

  async function* plainBatches(batches: AsyncIterable<Batch>): AsyncGenerator<Batch, void> {
    for await (const batch of batches) yield plainBatch(batch);
  }

  function prefixedHandlers({ onBatch, onAssigned, onRevoked, onError }: SubscribeOptions) {
    return {
      ...(onBatch && {
        onBatch: (batch: Batch, { signal, commit }: Parameters<typeof onBatch>[1]) =>
          onBatch(plainBatch(batch), { signal, commit: (record: LogRecord) => commit(outside(record)) }),
      }),
      ...(onAssigned && { onAssigned: (at: readonly TopicPartition[]) => onAssigned(at.map(inside)) }),
      ...(onRevoked && { onRevoked: (at: readonly TopicPartition[]) => onRevoked(at.map(inside)) }),
      ...(onError && { onError: (error: unknown, batch: Batch) => onError(error, plainBatch(batch)) }),
    };
  }
}
