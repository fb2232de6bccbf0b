/** Places records in partitions, and cuts what is to be sent into batches that one request carries. */

import { type NewRecord, partitionOf, type TopicPartition } from '@rlhf-streams/log';
import { partitionKey, recordBytes } from '@rlhf-streams/log/core';
import { partitionCount } from '../wire/partitions.js';
import type { Message } from '../wire/protocol.js';
import type { Wire } from '../wire/wire.js';

/** A record whose partition is known. */
export interface Placed extends TopicPartition {
  readonly message: Message;
  readonly bytes: number;
}

/** Records of one partition that are sent as one batch. */
export interface PartitionBatch extends TopicPartition {
  readonly messages: readonly Message[];
}

/** A broker takes 1 MB a batch by default. A single record may be larger than this limit, and is a batch alone. */
const MAX_BATCH_BYTES = 512 * 1024;
/** A broker takes 100 MB a request by default. */
const MAX_REQUEST_BYTES = 16 * 1024 * 1024;
const RECORD_OVERHEAD_BYTES = 32;

/** Checks all records before any is sent. @throws LogError LOG_INVALID, LOG_RECORD_TOO_LARGE, LOG_UNKNOWN_TOPIC. */
export async function place(wire: Wire, records: readonly NewRecord[]): Promise<Placed[]> {
  // Bytes are copied before anything is awaited, because the caller may reuse its buffers.
  const messages = records.map((record) => ({
    key: Buffer.from(record.key),
    value: asBuffer(recordBytes(record)),
    headers: { ...record.headers },
  }));
  const counts = new Map<string, number>();
  for (const { topic } of records)
    if (!counts.has(topic)) counts.set(topic, await partitionCount(wire, topic));
  return records.map(({ topic, key, headers = {} }, index) => {
    const message = messages[index]!;
    const texts = Object.entries(headers).reduce((sum, [name, text]) => sum + name.length + text.length, 0);
    return {
      topic,
      partition: partitionOf(key, counts.get(topic)!),
      message,
      bytes: message.key.length + message.value.length + texts + RECORD_OVERHEAD_BYTES,
    };
  });
}

const asBuffer = ({ buffer, byteOffset, byteLength }: Uint8Array): Buffer =>
  Buffer.from(buffer, byteOffset, byteLength);

/**
 * Takes from the front of `queue` what one request carries: at most one batch of each partition, in order. The rest
 * stays in the queue, and so do all records of partitions in `busy`.
 */
export function takeRequest(queue: Placed[], busy: ReadonlySet<string> = new Set()): PartitionBatch[] {
  const batches = new Map<string, TopicPartition & { messages: Message[]; bytes: number; full: boolean }>();
  const rest: Placed[] = [];
  let total = 0;
  for (const placed of queue) {
    const { topic, partition, message, bytes } = placed;
    const key = partitionKey(placed);
    const batch = batches.get(key) ?? { topic, partition, messages: [], bytes: 0, full: busy.has(key) };
    batches.set(key, batch);
    // Once a record stays, so do those that follow it in its partition, or the order would be lost.
    batch.full ||= batch.messages.length > 0 && batch.bytes + bytes > MAX_BATCH_BYTES;
    batch.full ||= total > 0 && total + bytes > MAX_REQUEST_BYTES;
    if (batch.full) rest.push(placed);
    else {
      batch.messages.push(message);
      batch.bytes += bytes;
      total += bytes;
    }
  }
  queue.splice(0, queue.length);
  for (const placed of rest) queue.push(placed);
  return [...batches.values()]
    .filter(({ messages }) => messages.length > 0)
    .map(({ topic, partition, messages }) => ({ topic, partition, messages }));
}
