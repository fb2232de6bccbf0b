import { setImmediate as turn } from 'node:timers/promises';
import type { TopicPartition, TopicSpec } from '../port.js';
import { decodeRecord } from './codec.js';
import type { GroupCommit } from './group-commit.js';
import type { Tables } from './tables.js';

const REMOVALS_PER_TRANSACTION = 1_000;

/**
 * Retention, trimming and compaction. They only remove whole records and never change an offset; each step is a transaction of
 * its own, so that a crash in between leaves a log that merely keeps more than it must.
 */
export function createCleanup(tables: Tables, writer: GroupCommit, now: () => number) {
  const { records, bounds } = tables;
  const compactedTo = new Map<string, number>();

  return {
    async cleanUp(spec: TopicSpec): Promise<void> {
      for (let partition = 0; partition < spec.partitions; partition++) {
        const at = { topic: spec.name, partition };
        if (spec.cleanup === 'compact') await compact(at);
        else if (spec.retentionMs !== undefined) await expire(at, now() - spec.retentionMs);
      }
    },

    /** Removes the records before `end`, which is no further than the end of the partition. */
    async trim({ topic, partition }: TopicPartition, end: number): Promise<void> {
      for (;;) {
        const range = { start: [topic, partition, 0], end: [topic, partition, end] };
        const offsets = [...records.getKeys({ ...range, limit: REMOVALS_PER_TRANSACTION })].map(
          ([, , offset]) => offset,
        );
        if (offsets.length === 0) return;
        const isLast = offsets.length < REMOVALS_PER_TRANSACTION;
        await remove({ topic, partition }, offsets, isLast ? end : offsets.at(-1)! + 1);
        await turn();
      }
    },
  };

  /** Removes records from the front that were accepted before `cutoff` (milliseconds since the epoch). */
  async function expire({ topic, partition }: TopicPartition, cutoff: number): Promise<void> {
    const { latest } = bounds.get([topic, partition]) ?? { latest: 0 };
    for (;;) {
      const expired: number[] = [];
      const range = { start: [topic, partition, 0], end: [topic, partition, latest] };
      for (const { key, value } of records.getRange({ ...range, limit: REMOVALS_PER_TRANSACTION })) {
        if (decodeRecord(value).timestamp >= cutoff) break;
        expired.push(key[2]);
      }
      if (expired.length === 0) return;
      await remove({ topic, partition }, expired, expired.at(-1)! + 1);
    }
  }

  /** Removes every record that has a later one of its key. It goes backwards: the first record it meets of a key stays. */
  async function compact({ topic, partition }: TopicPartition): Promise<void> {
    const { latest } = bounds.get([topic, partition]) ?? { latest: 0 };
    const name = `${topic}/${partition}`;
    if (compactedTo.get(name) === latest) return;
    const seen = new Set<string>();
    let end = latest - 1;
    while (end >= 0) {
      const superseded: number[] = [];
      const range = { start: [topic, partition, end], end: [topic, partition, -1], reverse: true };
      end = -1;
      let visited = 0;
      for (const { key, value } of records.getRange(range)) {
        if (visited++ === REMOVALS_PER_TRANSACTION) {
          end = key[2];
          break;
        }
        const record = decodeRecord(value);
        if (seen.has(record.key)) superseded.push(key[2]);
        seen.add(record.key);
      }
      if (superseded.length > 0) await remove({ topic, partition }, superseded);
      await turn();
    }
    compactedTo.set(name, latest);
  }

  async function remove({ topic, partition }: TopicPartition, offsets: readonly number[], earliest?: number) {
    await writer.submit(() => {
      const current = bounds.get([topic, partition])!;
      for (const offset of offsets) records.remove([topic, partition, offset]);
      if (earliest !== undefined) bounds.put([topic, partition], { ...current, earliest });
    }, offsets.length);
  }
}
