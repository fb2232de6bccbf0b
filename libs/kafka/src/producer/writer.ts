/**
 * Writes batches exactly once under one producer id: a batch that is sent again, because its answer was lost, has the
 * sequence number it had before, and the broker keeps one of the two (KIP-98).
 */

import { partitionKey } from '@rlhf-streams/log/core';
import { byLeader, byTopic } from '../wire/partitions.js';
import type { ProducerIdentity } from '../wire/protocol.js';
import type { AttemptOptions, Wire } from '../wire/wire.js';
import type { PartitionBatch } from './batches.js';

/** Writes batches. For one partition it must not be called again before the last call has ended. */
export interface BatchWriter {
  readonly identity: ProducerIdentity;
  /** @throws LogError, after which this writer must not be used again: its sequence numbers may be out of step. */
  write(batches: readonly PartitionBatch[], options?: AttemptOptions): Promise<void>;
}

const ALL_REPLICAS = -1;
const CODECS = { none: 0, gzip: 1 } as const;
const PRODUCE_TIMEOUT_MS = 10_000;
const MAX_SEQUENCE = 2 ** 31;

export interface WriterOptions {
  readonly compression: keyof typeof CODECS;
  /** With an id, batches belong to its transaction, to which the caller has added their partitions (AddPartitionsToTxn). */
  readonly transactionalId?: string;
  readonly transactionTimeoutMs?: number;
}

/** Takes a producer id and epoch. With a transactional id this fences every earlier producer of that id. */
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

  async function produce(batches: readonly PartitionBatch[]): Promise<void> {
    const led = await byLeader(wire, batches);
    await Promise.all(
      [...led].map(async ([nodeId, ofLeader]) => {
        const broker = await wire.broker(nodeId);
        await broker.produce({
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
      }),
    );
  }

  return {
    identity,
    async write(batches, options) {
      await wire.attempt(
        `write to ${[...new Set(batches.map(({ topic }) => topic))].join(', ')}`,
        () => produce(batches),
        options,
      );
      for (const batch of batches) {
        const key = partitionKey(batch);
        sequences.set(key, ((sequences.get(key) ?? 0) + batch.messages.length) % MAX_SEQUENCE);
      }
    },
  };
}
