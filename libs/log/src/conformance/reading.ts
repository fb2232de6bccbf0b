import { describe, expect, it } from 'vitest';
import type { LogRecord, ReadOptions } from '../port.js';
import { type Harness, numbered, readAll, sum, textOf } from './harness.js';

export function readingTests(harness: Harness): void {
  /** Follows in the background until aborted. */
  function follow(options: Omit<ReadOptions, 'follow' | 'signal'>) {
    const controller = new AbortController();
    const records: LogRecord[] = [];
    const ended = (async () => {
      for await (const batch of harness.log.read({ ...options, follow: true, signal: controller.signal }))
        records.push(...batch.records);
    })();
    return { records, ended, abort: () => controller.abort() };
  }

  describe('reading', () => {
    it('without follow ends at the end', async () => {
      const [a, b] = [await harness.topic(3), await harness.topic()];
      expect(await readAll(harness.log, [a, b])).toEqual([]);
      await harness.log.publish([...numbered(a, 30), ...numbered(b, 5)]);
      const records = await readAll(harness.log, [a, b]);
      expect(records.filter(({ topic }) => topic === a)).toHaveLength(30);
      expect(records.filter(({ topic }) => topic === b)).toHaveLength(5);
    });

    it('begins at given positions, and at the earliest record where none is given', async () => {
      const [a, b] = [await harness.topic(2), await harness.topic()];
      await harness.log.publish([...numbered(a, 40), ...numbered(b, 3)]);
      const { latest } = await harness.log.positions([a]);
      await harness.log.publish(numbered(a, 40, 'later '));
      const records = await readAll(harness.log, [a, b], latest);
      const texts = records.filter(({ topic }) => topic === a).map(textOf);
      expect(texts.toSorted()).toEqual(
        numbered(a, 40, 'later ')
          .map(({ value }) => value as string)
          .toSorted(),
      );
      expect(records.filter(({ topic }) => topic === b)).toHaveLength(3);
      const onlySecond = await readAll(harness.log, [a], { [a]: [latest[a]![0]!] }, [1]);
      expect(onlySecond.filter((record) => textOf(record).startsWith('record'))).not.toHaveLength(0);
    });

    it('resumes anywhere: positions after each record lead to the next', async () => {
      const topic = await harness.topic();
      await harness.log.publish(numbered(topic, 12));
      const all = await readAll(harness.log, [topic]);
      for (const [index, { offset }] of all.entries())
        expect(await readAll(harness.log, [topic], { [topic]: [offset + 1] })).toEqual(all.slice(index + 1));
    });

    it('reads only the partitions asked for', async () => {
      const topic = await harness.topic(4);
      await harness.log.publish(numbered(topic, 100));
      const all = await readAll(harness.log, [topic]);
      const some = await readAll(harness.log, [topic], undefined, [1, 3]);
      expect(some.map(textOf).toSorted()).toEqual(
        all
          .filter(({ partition }) => partition % 2 === 1)
          .map(textOf)
          .toSorted(),
      );
    });

    it('yields batches of one partition, no larger than asked, never empty', async () => {
      const topic = await harness.topic(2);
      await harness.log.publish(numbered(topic, 50));
      let count = 0;
      for await (const batch of harness.log.read({ topics: [topic], follow: false, maxBatchRecords: 7 })) {
        expect(batch.records.length).toBeGreaterThan(0);
        expect(batch.records.length).toBeLessThanOrEqual(7);
        expect(new Set(batch.records.map(({ partition }) => partition))).toEqual(new Set([batch.partition]));
        count += batch.records.length;
      }
      expect(count).toBe(50);
    });

    it('follows: what is there, what comes, until aborted', async () => {
      const topic = await harness.topic(2);
      await harness.log.publish(numbered(topic, 10));
      const reader = follow({ topics: [topic] });
      await harness.until('the old records are read', () => reader.records.length === 10);
      for (let i = 1; i <= 3; i++) {
        await harness.log.publish(numbered(topic, 10, `new ${i} `));
        await harness.until('the new records are read', () => reader.records.length === 10 + 10 * i);
      }
      reader.abort();
      await reader.ended;
    });

    it('follows from given positions', async () => {
      const topic = await harness.topic(2);
      await harness.log.publish(numbered(topic, 10));
      const reader = follow({ topics: [topic], from: (await harness.log.positions([topic])).latest });
      await harness.log.publish(numbered(topic, 10, 'new '));
      await harness.until('the new records are read', () => reader.records.length >= 10);
      reader.abort();
      await reader.ended;
      expect(reader.records.every((record) => textOf(record).startsWith('new '))).toBe(true);
      expect(reader.records).toHaveLength(10);
    });

    it('ends at once for a signal that has aborted, and when the loop is left', async () => {
      const topic = await harness.topic();
      await harness.log.publish(numbered(topic, 10));
      const signal = AbortSignal.abort();
      for await (const _ of harness.log.read({ topics: [topic], follow: true, signal })) expect.unreachable();
      for await (const batch of harness.log.read({ topics: [topic], follow: true, maxBatchRecords: 3 })) {
        expect(batch.records.length).toBeLessThanOrEqual(3);
        break;
      }
    });
  });

  describe('positions and lag', () => {
    it('grow with what is published', async () => {
      const topic = await harness.topic(3);
      const before = await harness.log.positions([topic]);
      expect(before.earliest).toEqual(before.latest);
      await harness.log.publish(numbered(topic, 60));
      const { earliest, latest } = await harness.log.positions([topic]);
      expect(earliest).toEqual(before.earliest);
      expect(sum(latest[topic]!) - sum(earliest[topic]!)).toBe(60);
      expect(await readAll(harness.log, [topic], latest)).toEqual([]);
    });

    it('count what a group has not committed', async () => {
      const topic = await harness.topic(2);
      const group = `group-of-${topic}`;
      await harness.log.publish(numbered(topic, 30));
      const lag = async () => sum((await harness.log.lag(group, [topic]))[topic]!);
      expect(await lag()).toBe(30);
      const subscription = await harness.subscribe({ group, topics: [topic], onBatch: async () => {} });
      await harness.until('everything is committed', async () => (await lag()) === 0);
      await subscription.close();
      await harness.log.publish(numbered(topic, 7));
      expect(await lag()).toBe(7);
    });
  });
}
