/**
 * Reads every record from given positions, without a group. Without `follow` it reads up to the high watermark of when
 * it began. An open transaction holds the last stable offset below that, and hides what others published after it, so
 * its end is waited for.
 */

import { setImmediate as turn } from 'node:timers/promises';
import { type Batch, LogError, type TopicPartition } from '@rlhf-streams/log';
import type { ReadPlan } from '@rlhf-streams/log/core';
import { boundsOf } from '../wire/offsets.js';
import type { Wire } from '../wire/wire.js';
import { createBell } from './bell.js';
import type { Feed, Reader } from './feed.js';

export interface ReadContext {
  readonly direct: Wire;
  readonly feed: Feed;
  /** Milliseconds between two looks at whether a topic that is followed has grown. */
  readonly metadataMaxAgeMs: number;
  /** Milliseconds without anything new after which a read without `follow` fails. */
  readonly deadlineMs: number;
}

interface Reading {
  readonly at: TopicPartition;
  readonly reader: Reader;
  /** The offset to stop before; infinite with `follow`. */
  readonly end: number;
}

export async function* readBatches(
  { direct, feed, metadataMaxAgeMs, deadlineMs }: ReadContext,
  { topics, partitions, follow, from, maxBatchRecords, signal }: ReadPlan,
): AsyncGenerator<Batch, void> {
  const readings = new Map<string, Reading>();
  /** How many partitions of each topic, from 0 on, have been considered. */
  const counts = new Map<string, number>();
  const bell = createBell();

  /** Opens a reader for each partition that has none yet and is to be read. */
  async function open(names: readonly string[]): Promise<void> {
    const [earliest, written] = await Promise.all([
      boundsOf(direct, names, 'earliest'),
      follow ? undefined : boundsOf(direct, names, 'written'),
    ]);
    for (const topic of names) {
      const seen = counts.get(topic) ?? 0;
      for (const [partition, first] of earliest[topic]!.entries()) {
        if (partition < seen || !(partitions?.includes(partition) ?? true)) continue;
        const position = Math.max(first, from[topic]?.[partition] ?? 0);
        const end = written ? written[topic]![partition]! : Number.POSITIVE_INFINITY;
        if (position >= end) continue;
        const at = { topic, partition };
        readings.set(`${topic}/${partition}`, { at, reader: feed.read(at, position, bell.ring), end });
      }
      counts.set(topic, Math.max(seen, earliest[topic]!.length));
    }
  }

  /** A topic may grow while it is followed. */
  async function openGrown(): Promise<void> {
    const grown: string[] = [];
    for (const topic of topics) {
      const found = await direct.attempt(`find topic ${topic}`, () => direct.partitions(topic), { signal });
      if (found.length > counts.get(topic)!) grown.push(topic);
    }
    if (grown.length > 0) await open(grown);
  }

  function next(key: string, { at, reader, end }: Reading): Batch | undefined {
    reader.check();
    const records = reader.take(maxBatchRecords).filter(({ offset }) => offset < end);
    if (reader.position >= end) {
      reader.close();
      readings.delete(key);
    }
    return records.length > 0 ? { ...at, records } : undefined;
  }

  signal.addEventListener('abort', bell.ring, { once: true });
  try {
    await open(topics);
    let lookedAt = performance.now();
    let movedAt = lookedAt;
    const patienceMs = Math.min(metadataMaxAgeMs, deadlineMs);
    while (!signal.aborted && (follow || readings.size > 0)) {
      const { size } = readings;
      let found = false;
      for (const [key, reading] of [...readings]) {
        const batch = next(key, reading);
        if (!batch) continue;
        found = true;
        yield batch;
        if (signal.aborted) return;
      }
      if (found || readings.size < size) movedAt = performance.now();
      else if (!follow && performance.now() - movedAt > deadlineMs)
        throw hidden([...readings.values()], deadlineMs);
      if (found) await turn();
      else if (readings.size > 0 || follow) await bell.rung(patienceMs);
      if (follow && !signal.aborted && performance.now() - lookedAt > metadataMaxAgeMs) {
        await openGrown();
        lookedAt = performance.now();
      }
    }
  } finally {
    signal.removeEventListener('abort', bell.ring);
    for (const { reader } of readings.values()) reader.close();
  }
}

function hidden(readings: readonly Reading[], ms: number): LogError {
  const where = readings.map(
    ({ at, reader, end }) => `${at.topic}/${at.partition} (at ${reader.position}, to ${end})`,
  );
  return new LogError(
    'LOG_UNAVAILABLE',
    `Kafka showed nothing more of ${where.join(', ')} for ${ms} ms: a transaction is open there that nobody ends. kafka-transactions finds and aborts it.`,
  );
}
