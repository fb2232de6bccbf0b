import { LogError, warn } from '../errors.js';
import type { EventLog, ReadOptions, SubscribeOptions, Subscription } from '../port.js';
import { prefixed } from '../prefixed.js';
import { checkName, checkNumber, checkOffset, checkTopic } from '../validate.js';
import { within } from '../waiting.js';
import { partitionCount } from './batches.js';
import { createFeed } from './feed.js';
import { openSubscription } from './group/subscription.js';
import { boundsOf, committedOffsets, positionsOf } from './offsets.js';
import { type KafkaLogOptions, type KafkaSettings, kafkaSettings } from './options.js';
import { createPublisher } from './publisher.js';
import { readBatches } from './reading.js';
import { linked } from './signals.js';
import { applyTopics, planTopics } from './topics.js';
import { openTransactional } from './transactions.js';
import { openWire } from './wire.js';

export type { KafkaLogOptions, KafkaSasl } from './options.js';

const DEFAULT_BATCH_RECORDS = 500;
const PENDING_TIMEOUT_MS = 10_000;

/**
 * A Kafka cluster (brokers 3.x and 4.x) as a log.
 *
 * @throws LogError LOG_INVALID for an option; LOG_UNAVAILABLE, LOG_DENIED when no broker lets this client in.
 */
export async function kafkaLog(options: KafkaLogOptions): Promise<EventLog> {
  const settings = kafkaSettings(options);
  const log = openLog(settings);
  try {
    await log.connect();
  } catch (error) {
    await log.close();
    throw error;
  }
  return settings.prefix === '' ? log : prefixed(log, settings.prefix);
}

function openLog(settings: KafkaSettings): EventLog & { connect(): Promise<void> } {
  /** For requests that are answered at once. */
  const direct = openWire(settings);
  const waiting = openWire(settings);
  const feed = createFeed({ direct, waiting, deadlineMs: settings.deadlineMs });
  const publisher = createPublisher(direct, settings);
  const subscriptions = new Set<Subscription>();
  const ending = new AbortController();
  const pending = new Set<Promise<unknown>>();
  let closed: Promise<void> | undefined;
  /** Handlers may publish what they finish while their subscriptions close. */
  let sealed = false;

  function assertOpen(): void {
    if (closed) throw new LogError('LOG_CLOSED', 'The log was closed.');
  }
  function assertWritable(): void {
    if (sealed) throw new LogError('LOG_CLOSED', 'The log was closed.');
  }

  async function checkTopics(topics: readonly string[]): Promise<void> {
    for (const topic of topics) await partitionCount(direct, topic);
  }

  /** What is on its way when the log closes is awaited. */
  function track<T>(work: Promise<T>): Promise<T> {
    const tracked = work.catch(() => {}).finally(() => pending.delete(tracked));
    pending.add(tracked);
    return work;
  }

  async function subscribe(options: SubscribeOptions): Promise<Subscription> {
    const { group, topics, maxBatchRecords = DEFAULT_BATCH_RECORDS } = options;
    const { retryDelayMs = 200, revokeTimeoutMs = 30_000 } = options;
    checkName('group', group);
    checkNumber('maxBatchRecords', maxBatchRecords, 1);
    checkNumber('retryDelayMs', retryDelayMs, 0);
    checkNumber('revokeTimeoutMs', revokeTimeoutMs, 0);
    if (topics.length === 0)
      throw new LogError('LOG_INVALID', `Group ${group} subscribes to no topic: name one.`);
    await checkTopics(topics);
    await direct.attempt(`find group ${group}`, () => direct.coordinator('group', group));
    assertOpen();
    const subscription = openSubscription(
      { settings, feed, direct, wire: openWire(settings) },
      {
        onAssigned: () => {},
        onRevoked: async () => {},
        onError: warn,
        from: 'earliest',
        ...options,
        maxBatchRecords,
        retryDelayMs,
        revokeTimeoutMs,
      },
    );
    const tracked: Subscription = {
      assignment: () => subscription.assignment(),
      async close() {
        await subscription.close();
        subscriptions.delete(tracked);
      },
    };
    subscriptions.add(tracked);
    return tracked;
  }

  async function* read(options: ReadOptions) {
    const {
      topics,
      from = {},
      partitions,
      follow,
      signal,
      maxBatchRecords = DEFAULT_BATCH_RECORDS,
    } = options;
    const either = linked(signal, ending.signal);
    try {
      await checkTopics(topics);
      yield* readBatches(
        { direct, feed, metadataMaxAgeMs: settings.metadataMaxAgeMs, deadlineMs: settings.deadlineMs },
        { topics, partitions, follow, from, maxBatchRecords, signal: either.signal },
      );
    } catch (error) {
      if (!either.signal.aborted) throw error;
    } finally {
      either.release();
    }
  }

  async function close(): Promise<void> {
    ending.abort();
    await Promise.all([...subscriptions].map((subscription) => subscription.close()));
    sealed = true;
    await within(PENDING_TIMEOUT_MS, Promise.all(pending));
    feed.close();
    direct.close();
    waiting.close();
  }

  async function positions(topics: readonly string[]) {
    assertOpen();
    await checkTopics(topics);
    const [earliest, latest] = await Promise.all([
      boundsOf(direct, topics, 'earliest'),
      boundsOf(direct, topics, 'latest'),
    ]);
    return { earliest, latest };
  }

  return {
    async connect() {
      await direct.attempt('connect', () => direct.controller());
    },

    async ensureTopics(topics, options = {}) {
      assertOpen();
      topics.forEach(checkTopic);
      await applyTopics(direct, topics, { replication: settings.replication, ...options });
    },

    async planTopics(topics) {
      assertOpen();
      topics.forEach(checkTopic);
      return planTopics(direct, topics);
    },

    async publish(records) {
      assertWritable();
      await track(publisher.publish(records));
    },

    async transactional(id) {
      assertOpen();
      checkName('transactional id', id);
      const producer = await openTransactional(direct, id, settings);
      return {
        async transact(work) {
          assertWritable();
          for (const { group, offset } of work.commits ?? []) {
            checkName('group', group);
            checkOffset('A committed offset', offset);
          }
          await track(producer.transact(work));
        },
        close: () => producer.close(),
      };
    },

    async subscribe(options) {
      assertOpen();
      return subscribe(options);
    },

    read(options) {
      assertOpen();
      checkNumber('maxBatchRecords', options.maxBatchRecords ?? DEFAULT_BATCH_RECORDS, 1);
      for (const [topic, offsets] of Object.entries(options.from ?? {}))
        for (const offset of offsets) checkOffset(`The position in ${topic}`, offset);
      return read(options);
    },

    positions,

    async lag(group, topics) {
      checkName('group', group);
      const { earliest, latest } = await positions(topics);
      const partitions = topics.flatMap((topic) =>
        latest[topic]!.map((_, partition) => ({ topic, partition })),
      );
      const committed = await direct.attempt(`find what group ${group} has committed`, async () =>
        committedOffsets(await direct.coordinator('group', group), group, partitions),
      );
      const known = positionsOf(topics, committed);
      return Object.fromEntries(
        topics.map((topic) => [
          topic,
          latest[topic]!.map((end, partition) => {
            const from = Math.max(earliest[topic]![partition]!, known[topic]![partition] ?? 0);
            return end - Math.min(end, from);
          }),
        ]),
      );
    },

    close() {
      closed ??= close();
      return closed;
    },
  };
}
