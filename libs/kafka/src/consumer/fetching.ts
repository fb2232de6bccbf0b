/** Fetch requests at isolation level READ_COMMITTED, whose answers hold aborted records that a client must drop itself. */

import type { LogRecord, TopicPartition } from '@rlhf-streams/log';
import { partitionKey } from '@rlhf-streams/log/core';
import { byTopic } from '../wire/partitions.js';
import type { Broker, FetchedBatch, FetchedMessage, FetchedPartition } from '../wire/protocol.js';
import { fetch } from '../wire/requests.js';
import { READ_COMMITTED } from '../wire/wire.js';

/** A partition and the offset to read on from. */
export interface Place extends TopicPartition {
  readonly position: number;
}

/** What a fetch brought of a place. */
export interface Fetched extends TopicPartition {
  /** The offset that was asked for. */
  readonly from: number;
  readonly records: readonly LogRecord[];
  /** The offset to read on from: past the records, control records, and offsets that compaction removed. */
  readonly next: number;
  /** Whether the answer reached the last stable offset; if not, there is more to fetch. */
  readonly isAll: boolean;
  /** Why this partition could not be read, though others of the same request could. */
  readonly error?: unknown;
}

const MAX_BYTES = 8 * 1024 * 1024;
const MAX_PARTITION_BYTES = 1024 * 1024;

/**
 * Fetches places that `broker` leads. The broker answers as soon as it has any record, or after `maxWaitMs`
 * milliseconds; when an answer is full, places further back in the list are left out of it.
 */
export async function fetchFrom(
  broker: Broker,
  places: readonly Place[],
  maxWaitMs: number,
): Promise<Fetched[]> {
  const answers = await fetch(broker, {
    isolationLevel: READ_COMMITTED,
    maxWaitTime: maxWaitMs,
    minBytes: 1,
    maxBytes: MAX_BYTES,
    topics: byTopic(places, ({ partition, position }) => ({
      partition,
      fetchOffset: String(position),
      maxBytes: MAX_PARTITION_BYTES,
    })),
  });
  const asked = new Map(places.map((place) => [partitionKey(place), place]));
  return answers.flatMap((answer) => {
    const place = asked.get(partitionKey(answer));
    return place ? [committedRecords(place, answer)] : [];
  });
}

/** The committed records of an answer from `place` on. @internal */
export function committedRecords({ topic, partition, position }: Place, answer: FetchedPartition): Fetched {
  const messages = withoutAborted(answer).flatMap(({ records }) => records);
  const last = answer.batches.at(-1);
  const next = last ? Math.max(position, offsetAfter(last)) : position;
  return {
    topic,
    partition,
    from: position,
    records: messages
      .filter(({ offset }) => Number(offset) >= position)
      .map((message) => toRecord({ topic, partition }, message)),
    next,
    isAll: next >= answer.lastStableOffset,
    ...(answer.error !== undefined && { error: answer.error }),
  };
}

const offsetAfter = ({ firstOffset, lastOffsetDelta }: FetchedBatch): number =>
  Number(firstOffset) + lastOffsetDelta + 1;

/**
 * The batches of an answer without control batches and those of aborted transactions: from an aborted transaction's
 * first offset on, its producer's batches are dropped up to the control record that ends it
 * (https://kafka.apache.org/protocol, isolation level READ_COMMITTED).
 */
function withoutAborted({ batches, abortedTransactions }: FetchedPartition): readonly FetchedBatch[] {
  const upcoming = abortedTransactions.toSorted((a, b) => a.firstOffset - b.firstOffset);
  const aborted = new Set<string>();
  return batches.filter((batch) => {
    const { producerId, inTransaction, isControlBatch } = batch;
    while (upcoming[0] && upcoming[0].firstOffset < offsetAfter(batch))
      aborted.add(upcoming.shift()!.producerId);
    if (isControlBatch) aborted.delete(producerId);
    return !isControlBatch && !(inTransaction && aborted.has(producerId));
  });
}

function toRecord({ topic, partition }: TopicPartition, message: FetchedMessage): LogRecord {
  const { offset, timestamp, key, value, headers } = message;
  return {
    topic,
    partition,
    offset: Number(offset),
    key: key?.toString() ?? '',
    value: value ?? Buffer.alloc(0),
    headers: Object.fromEntries(Object.entries(headers).map(([name, content]) => [name, textOf(content)])),
    timestamp: Number(timestamp),
  };
}

/** When a header occurs more than once, its last occurrence counts. */
function textOf(content: FetchedMessage['headers'][string]): string {
  const last = Array.isArray(content) ? content.at(-1) : (content as Buffer | null);
  return last?.toString() ?? '';
}
