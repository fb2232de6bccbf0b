import type { EventLog } from '@rlhf-streams/log';
import { createLog, type LogAdapter, partitionKey } from '@rlhf-streams/log/core';
import { applyTopics, planTopics } from './admin/topics.js';
import { trimTopics } from './admin/trim.js';
import { createFeed } from './consumer/feed.js';
import { readBatches } from './consumer/reading.js';
import { openSubscription } from './consumer/subscription.js';
import { type KafkaLogOptions, type KafkaSettings, kafkaSettings } from './options.js';
import { prefixed } from './prefixed.js';
import { createPublisher } from './producer/publisher.js';
import { openTransactional } from './producer/transactions.js';
import { boundsOf, committedOffsets } from './wire/offsets.js';
import { partitionCount } from './wire/partitions.js';
import { openWire } from './wire/wire.js';

/**
 * A Kafka cluster (brokers 3.x and 4.x) as a log.
 *
 * @throws LogError LOG_INVALID for an option; LOG_UNAVAILABLE, LOG_DENIED when no broker lets this client in.
 * @example const log = await kafkaLog({ brokers: ['kafka-1:9092', 'kafka-2:9092'] });
 */
export async function kafkaLog(options: KafkaLogOptions): Promise<EventLog> {
  const settings = kafkaSettings(options);
  const adapter = kafkaAdapter(settings);
  try {
    await adapter.connect();
  } catch (error) {
    await adapter.close();
    throw error;
  }
  const log = createLog(adapter);
  return settings.prefix === '' ? log : prefixed(log, settings.prefix);
}

function kafkaAdapter(settings: KafkaSettings): LogAdapter & { connect(): Promise<void> } {
  /** For requests that brokers answer at once. */
  const direct = openWire(settings);
  /** For fetches that wait for records: later requests on the same connection would wait, too. */
  const waiting = openWire(settings);
  /** For what is published: reads and commits of other parts of the process would delay it on their connection. */
  const writing = openWire(settings);
  const feed = createFeed({ direct, waiting, deadlineMs: settings.deadlineMs });
  const publisher = createPublisher(writing, settings);
  const { metadataMaxAgeMs, deadlineMs, replication } = settings;

  async function checkTopics(topics: readonly string[]): Promise<void> {
    for (const topic of topics) await partitionCount(direct, topic);
  }

  return {
    async connect() {
      await direct.attempt('connect', () => direct.controller());
    },

    ensureTopics: (topics, { settings }) => applyTopics(direct, topics, { replication, settings }),

    planTopics: (topics) => planTopics(direct, topics),

    publish: (records) => publisher.publish(records),

    openProducer: (id) => openTransactional(writing, id, settings),

    async join(options) {
      await checkTopics(options.topics);
      const { group } = options;
      await direct.attempt(`find group ${group}`, () => direct.coordinator('group', group));
      return openSubscription({ settings, feed, direct, wire: openWire(settings) }, options);
    },

    async *read(plan) {
      await checkTopics(plan.topics);
      yield* readBatches({ direct, feed, metadataMaxAgeMs, deadlineMs }, plan);
    },

    async positions(topics) {
      await checkTopics(topics);
      const [earliest, latest] = await Promise.all([
        boundsOf(direct, topics, 'earliest'),
        boundsOf(direct, topics, 'latest'),
      ]);
      return { earliest, latest };
    },

    trim: (before) => trimTopics(direct, before),

    async committed(group, partitions) {
      const committed = await direct.attempt(`find what group ${group} has committed`, async () =>
        committedOffsets(await direct.coordinator('group', group), group, partitions),
      );
      return new Map(committed.map((each) => [partitionKey(each), each.offset]));
    },

    async close() {
      feed.close();
      direct.close();
      writing.close();
      waiting.close();
    },
  };
}
