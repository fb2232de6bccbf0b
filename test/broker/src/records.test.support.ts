/** Writes records to a broker and reads them, with kafkajs. */
import { randomUUID } from 'node:crypto';
import { Kafka, type KafkaConfig, logLevel, type RetryOptions } from 'kafkajs';

const READ_TIMEOUT_MS = 60_000;
/** Long enough for a leader to be replaced. */
const PATIENT: RetryOptions = { initialRetryTime: 100, maxRetryTime: 1_000, retries: 40 };

export interface Records {
  createTopic(topic: string, replicas: number): Promise<void>;
  /** The node that leads partition 0 and its replicas in sync. */
  partition(topic: string): Promise<{ leader: number; inSync: number[] }>;
  /** Acknowledged by all replicas in sync. */
  write(topic: string, values: readonly string[]): Promise<void>;
  /** The first `count` values, read in a group of its own. */
  read(topic: string, count: number): Promise<string[]>;
}

export function recordsOf(brokers: readonly string[], more: Partial<KafkaConfig> = {}): Records {
  const client = new Kafka({
    brokers: [...brokers],
    logLevel: logLevel.NOTHING,
    connectionTimeout: 5_000,
    retry: PATIENT,
    ...more,
  });
  const asAdmin = async <T>(work: (admin: ReturnType<Kafka['admin']>) => Promise<T>) => {
    const admin = client.admin();
    try {
      await admin.connect();
      return await work(admin);
    } finally {
      await admin.disconnect();
    }
  };
  return {
    createTopic: (topic, replicas) =>
      asAdmin(async (admin) => {
        await admin.createTopics({ topics: [{ topic, replicationFactor: replicas }] });
      }),
    partition: (topic) =>
      asAdmin(async (admin) => {
        const { topics } = await admin.fetchTopicMetadata({ topics: [topic] });
        const { leader, isr } = topics[0]!.partitions[0]!;
        return { leader, inSync: isr };
      }),
    write: async (topic, values) => {
      const producer = client.producer({ allowAutoTopicCreation: false });
      try {
        await producer.connect();
        await producer.send({ topic, acks: -1, messages: values.map((value) => ({ value })) });
      } finally {
        await producer.disconnect();
      }
    },
    read: async (topic, count) => {
      const consumer = client.consumer({
        groupId: randomUUID(),
        allowAutoTopicCreation: false,
        maxWaitTimeInMs: 100,
      });
      const values: string[] = [];
      let timer: NodeJS.Timeout | undefined;
      try {
        await consumer.connect();
        await consumer.subscribe({ topic, fromBeginning: true });
        await new Promise<void>((resolve, reject) => {
          timer = setTimeout(
            () => reject(new Error(`expected ${count} records of ${topic}, got ${values.length}`)),
            READ_TIMEOUT_MS,
          );
          consumer.on('consumer.crash', ({ payload }) => {
            if (!payload.restart) reject(payload.error);
          });
          consumer
            .run({
              eachMessage: async ({ message }) => {
                values.push(String(message.value));
                if (values.length === count) resolve();
              },
            })
            .catch(reject);
        });
        return values;
      } finally {
        clearTimeout(timer);
        await consumer.disconnect();
      }
    },
  };
}
