/** kafkajs beside this adapter: another client of the same brokers, and its decoder and errors. */
import kafkajs, { type Admin, type KafkaConfig, type Producer } from 'kafkajs';
import Decoder from 'kafkajs/src/protocol/decoder.js';
import protocolErrors from 'kafkajs/src/protocol/error.js';
import { onTestFinished } from 'vitest';

/** Its own producers and administration, ended with the test. */
export function otherClient(brokers: readonly string[], more: Partial<KafkaConfig> = {}) {
  const client = new kafkajs.Kafka({ brokers: [...brokers], logLevel: kafkajs.logLevel.NOTHING, ...more });
  return {
    async admin(): Promise<Admin> {
      const admin = client.admin();
      await admin.connect();
      onTestFinished(() => admin.disconnect());
      return admin;
    },
    async producer(transactionalId?: string): Promise<Producer> {
      const producer = client.producer({
        retry: { initialRetryTime: 5 },
        ...(transactionalId && { transactionalId, maxInFlightRequests: 1, idempotent: true }),
      });
      await producer.connect();
      onTestFinished(() => producer.disconnect());
      return producer;
    },
  };
}

/** The error of a broker's answer with this code: https://kafka.apache.org/protocol#protocol_error_codes */
export const brokerError = (code: number): Error & { readonly type: string } =>
  protocolErrors.createErrorFromCode(code);

export interface FetchedPlace {
  readonly topic: string;
  readonly partition: number;
  readonly position: number;
}

/** Reads a request as a broker does: https://kafka.apache.org/protocol#The_Messages_Fetch, version 11 */
export function decodeFetchRequest(bytes: Buffer): {
  readonly maxWaitMs: number;
  readonly places: FetchedPlace[];
} {
  const decoder = new Decoder(bytes.subarray(4 * 4 + 1 + 2 * 4));
  const topics = decoder.readArray(() => {
    const topic = decoder.readString();
    return decoder.readArray(() => {
      const partition = decoder.readInt32();
      decoder.readInt32();
      const position = Number(decoder.readInt64());
      decoder.readInt64();
      decoder.readInt32();
      return { topic, partition, position };
    });
  });
  return { maxWaitMs: bytes.readInt32BE(4), places: topics.flat() };
}
