/**
 * Batches written exactly once under one producer id: a batch sent again, because nobody knows whether it arrived, has
 * the number it had before, and the broker keeps one of them (KIP-98).
 */
import { partitionKey } from '../partition.js';
import type { TopicPartition } from '../port.js';
import type { PartitionBatch } from './batches.js';
import { kafkaType } from './errors.js';
import { byLeader, byTopic } from './offsets.js';
import type { ProducerIdentity } from './protocol.js';
import type { AttemptOptions, Wire } from './wire.js';

export interface Written extends TopicPartition {
  /** After the batch's last record. */
  readonly next: number;
}

/** Writes batches, those of a partition in turn: not to be called again for one before it has answered. */
export interface BatchWriter {
  readonly identity: ProducerIdentity;
  /** @throws LogError, after which this writer must not be used again: numbers may be out of step. */
  write(batches: readonly PartitionBatch[], options?: AttemptOptions): Promise<Written[]>;
}

const ALL_REPLICAS = -1;
const CODECS = { none: 0, gzip: 1 } as const;
const PRODUCE_TIMEOUT_MS = 10_000;
const MAX_SEQUENCE = 2 ** 31;

export interface WriterOptions {
  readonly compression: keyof typeof CODECS;
  /** With one, batches belong to its transaction and are announced to its coordinator by the caller. */
  readonly transactionalId?: string;
  readonly transactionTimeoutMs?: number;
}

/** Takes a producer id; with a transactional id that fences every earlier holder. */
export async function openWriter(
  wire: Wire,
  { compression, transactionalId, transactionTimeoutMs = 60_000 }: WriterOptions,
): Promise<BatchWriter> {
  const what = transactionalId === undefined ? 'open a producer' : `open producer ${transactionalId}`;
  const { producerId, producerEpoch } = await wire.attempt(what, async () => {
    const broker =
      transactionalId === undefined
        ? await wire.any()
        : await wire.coordinator('transaction', transactionalId);
    return broker.initProducerId({ transactionalId, transactionTimeout: transactionTimeoutMs });
  });
  const identity: ProducerIdentity = { transactionalId, producerId, producerEpoch };
  const sequences = new Map<string, number>();

  async function produce(batches: readonly PartitionBatch[]): Promise<Written[]> {
    const led = await byLeader(wire, batches);
    const written = await Promise.all(
      [...led].map(async ([nodeId, ofLeader]) => {
        const broker = await wire.broker(nodeId);
        const answer = await broker.produce({
          ...identity,
          acks: ALL_REPLICAS,
          timeout: PRODUCE_TIMEOUT_MS,
          compression: CODECS[compression],
          topicData: byTopic(ofLeader, (batch) => ({
            partition: batch.partition,
            firstSequence: sequences.get(partitionKey(batch)) ?? 0,
            messages: batch.messages,
          })),
        });
        return answer.topics.flatMap(({ topicName, partitions }) =>
          partitions.map(({ partition, baseOffset }) => ({
            topic: topicName,
            partition,
            base: Number(baseOffset),
          })),
        );
      }),
    );
    const bases = new Map(written.flat().map((each) => [partitionKey(each), each.base]));
    return batches.map((batch) => ({
      topic: batch.topic,
      partition: batch.partition,
      next: bases.get(partitionKey(batch))! + batch.messages.length,
    }));
  }

  return {
    identity,
    async write(batches, options) {
      const written = await wire.attempt(
        `write to ${[...new Set(batches.map(({ topic }) => topic))].join(', ')}`,
        () => produce(batches),
        options,
      );
      for (const batch of batches) {
        const key = partitionKey(batch);
        sequences.set(key, ((sequences.get(key) ?? 0) + batch.messages.length) % MAX_SEQUENCE);
      }
      return written;
    },
  };
}

/** What ends a producer id though nobody fenced it: the broker forgot it, or lost records it had acknowledged. */
const LOST_ID = new Set([
  'OUT_OF_ORDER_SEQUENCE_NUMBER',
  'UNKNOWN_PRODUCER_ID',
  'INVALID_PRODUCER_EPOCH',
  'INVALID_PRODUCER_ID_MAPPING',
]);

export const hasLostItsId = (error: unknown): boolean =>
  LOST_ID.has(kafkaType((error as { cause?: unknown }).cause) ?? '');
