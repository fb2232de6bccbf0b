import { describe, expect, it } from 'vitest';
import type { Batch, BatchContext, LogRecord } from '../port.js';
import { gate, type Harness, numbered, sum, textOf, uniqueName } from './harness.js';

export function groupTests(harness: Harness): void {
  const texts = (records: readonly LogRecord[]) => records.map(textOf).toSorted();
  const expected = (topic: string, count: number, prefix?: string) =>
    numbered(topic, count, prefix)
      .map(({ value }) => value as string)
      .toSorted();

  /** Subscribes and collects what is handled. */
  async function consume(options: Parameters<Harness['subscribe']>[0]) {
    const records: LogRecord[] = [];
    const subscription = await harness.subscribe({
      ...options,
      async onBatch(batch, context) {
        await options.onBatch?.(batch, context);
        records.push(...batch.records);
      },
    });
    return { records, subscription };
  }

  describe('consumer groups', () => {
    it('share the partitions: each record is handled by one member', async () => {
      const topic = await harness.topic(4);
      const group = uniqueName('group');
      const members = [
        await consume({ group, topics: [topic] }),
        await consume({ group, topics: [topic] }),
        await consume({ group, topics: [topic] }),
      ];
      const sizes = () => members.map(({ subscription }) => subscription.assignment().length);
      await harness.until('every member has partitions', () => sizes().toSorted().join() === '1,1,2');
      const owned = members.flatMap(({ subscription }) => subscription.assignment().map((p) => p.partition));
      expect(owned.toSorted()).toEqual([0, 1, 2, 3]);
      await harness.log.publish(numbered(topic, 200));
      await harness.until('all is handled', () => sum(members.map(({ records }) => records.length)) >= 200);
      expect(texts(members.flatMap(({ records }) => records))).toEqual(expected(topic, 200));
      expect(members.every(({ records }) => records.length > 0)).toBe(true);
    });

    it('do not concern each other', async () => {
      const topic = await harness.topic(2);
      await harness.log.publish(numbered(topic, 50));
      const first = await consume({ group: uniqueName('group'), topics: [topic] });
      const second = await consume({ group: uniqueName('group'), topics: [topic] });
      await harness.until('both have all', () => first.records.length >= 50 && second.records.length >= 50);
      expect(texts(first.records)).toEqual(expected(topic, 50));
      expect(texts(second.records)).toEqual(expected(topic, 50));
    });

    it('get what is published after they wait, of several topics', async () => {
      const [a, b] = [await harness.topic(2), await harness.topic(2)];
      const consumer = await consume({ group: uniqueName('group'), topics: [a, b] });
      await harness.until('it has partitions', () => consumer.subscription.assignment().length === 4);
      for (let i = 1; i <= 5; i++) {
        await harness.log.publish([...numbered(a, 10), ...numbered(b, 10)]);
        await harness.until('they are handled', () => consumer.records.length === 20 * i);
      }
    });

    it('get the partitions a topic grows by', async () => {
      const topic = await harness.topic(1);
      const consumer = await consume({ group: uniqueName('group'), topics: [topic] });
      await harness.log.ensureTopics([{ name: topic, partitions: 3, cleanup: 'delete' }]);
      await harness.until('it has them', () => consumer.subscription.assignment().length === 3);
      await harness.log.publish(numbered(topic, 60));
      await harness.until('all is handled', () => consumer.records.length === 60);
    });

    it('go on where they committed, when they come back', async () => {
      const topic = await harness.topic(2);
      const group = uniqueName('group');
      await harness.log.publish(numbered(topic, 50));
      const before = await consume({ group, topics: [topic] });
      await harness.until('all is handled', () => before.records.length === 50);
      await before.subscription.close();
      expect(before.subscription.assignment()).toEqual([]);
      await harness.log.publish(numbered(topic, 10, 'later '));
      const after = await consume({ group, topics: [topic] });
      await harness.until('the rest is handled', () => after.records.length >= 10);
      expect(texts(after.records)).toEqual(expected(topic, 10, 'later '));
    });

    it('from latest begin with what comes after they joined', async () => {
      const topic = await harness.topic();
      await harness.log.publish(numbered(topic, 20, 'old '));
      const consumer = await consume({ group: uniqueName('group'), topics: [topic], from: 'latest' });
      let probes = 0;
      await harness.until('a probe arrives', async () => {
        await harness.log.publish([{ topic, key: 'probe', value: `probe ${probes++}` }]);
        return consumer.records.length > 0;
      });
      await harness.log.publish(numbered(topic, 20, 'new '));
      const seen = (prefix: string) => consumer.records.map(textOf).filter((text) => text.startsWith(prefix));
      await harness.until('the new are handled', () => seen('new ').length === 20);
      expect(seen('old ')).toEqual([]);
      expect(seen('probe ').at(-1)).toBe(`probe ${probes - 1}`);
    });

    it('have no more records in a batch than they ask for', async () => {
      const topic = await harness.topic();
      await harness.log.publish(numbered(topic, 50));
      const sizes: number[] = [];
      await harness.subscribe({
        group: uniqueName('group'),
        topics: [topic],
        maxBatchRecords: 8,
        onBatch: async ({ records }) => void sizes.push(records.length),
      });
      await harness.until('all is handled', () => sum(sizes) === 50);
      expect(Math.max(...sizes)).toBeLessThanOrEqual(8);
    });

    it('handle partitions concurrently, the batches of one in turn', async () => {
      const topic = await harness.topic(2);
      await harness.log.publish(numbered(topic, 100));
      const met = gate();
      const busy = new Set<number>();
      let handled = 0;
      let overlapped = false;
      await harness.subscribe({
        group: uniqueName('group'),
        topics: [topic],
        maxBatchRecords: 5,
        async onBatch({ partition, records }) {
          overlapped ||= busy.has(partition);
          busy.add(partition);
          if (busy.size === 2) met.open();
          await met.opened;
          busy.delete(partition);
          handled += records.length;
        },
      });
      await harness.until('both partitions met and all is handled', () => handled === 100);
      expect(overlapped).toBe(false);
    });

    it('say which partitions they have before the first batch, and that they go', async () => {
      const topic = await harness.topic(2);
      await harness.log.publish(numbered(topic, 20));
      const story: string[] = [];
      const subscription = await harness.subscribe({
        group: uniqueName('group'),
        topics: [topic],
        onAssigned: (partitions) =>
          partitions.forEach(({ partition }) => void story.push(`assigned ${partition}`)),
        onRevoked: async (partitions) =>
          partitions.forEach(({ partition }) => void story.push(`revoked ${partition}`)),
        onBatch: async ({ partition }) => void story.push(`batch ${partition}`),
      });
      await harness.until(
        'both are handled',
        () => new Set(story.filter((s) => s.startsWith('batch'))).size === 2,
      );
      await subscription.close();
      for (const partition of [0, 1]) {
        const own = story.filter((line) => line.endsWith(`${partition}`));
        expect(own[0]).toBe(`assigned ${partition}`);
        expect(own.at(-1)).toBe(`revoked ${partition}`);
      }
    });
  });

  describe('a failing handler', () => {
    it('gets the uncommitted rest again, and onError is told', async () => {
      const topic = await harness.topic();
      await harness.log.publish(numbered(topic, 10));
      const deliveries: string[][] = [];
      const errors: unknown[] = [];
      const failure = new Error('no');
      await harness.subscribe({
        group: uniqueName('group'),
        topics: [topic],
        retryDelayMs: 1,
        onError: (error, batch) => errors.push([error, batch.topic, batch.partition]),
        async onBatch(batch: Batch, { commit }: BatchContext) {
          deliveries.push(batch.records.map(textOf));
          if (deliveries.length > 1) return;
          await commit(batch.records[3]!);
          throw failure;
        },
      });
      await harness.until(
        'all is handled',
        () => deliveries.flat().includes('record 9') && deliveries.length > 1,
      );
      const [first, ...later] = deliveries;
      expect(first![0]).toBe('record 0');
      expect(later.flat()).toEqual(['record 4', 'record 5', 'record 6', 'record 7', 'record 8', 'record 9']);
      expect(errors).toEqual([[failure, topic, 0]]);
    });

    it('gets the batch again until it succeeds, and holds up no other partition', async () => {
      const topic = await harness.topic(2);
      await harness.log.publish(numbered(topic, 40));
      const size = (await harness.log.positions([topic])).latest[topic]!;
      const done: LogRecord[] = [];
      let failures = 0;
      const othersAreDone = () => done.filter(({ partition }) => partition === 1).length === size[1];
      await harness.subscribe({
        group: uniqueName('group'),
        topics: [topic],
        retryDelayMs: 1,
        onError: () => void failures++,
        async onBatch({ partition, records }) {
          if (partition === 0 && !(failures >= 3 && othersAreDone())) throw new Error('not yet');
          done.push(...records);
        },
      });
      await harness.until('all is handled', () => done.length === 40);
      expect(texts(done)).toEqual(expected(topic, 40));
    });

    it('may commit nothing but records of its batch', async () => {
      const topic = await harness.topic(2);
      await harness.log.publish(numbered(topic, 40));
      const refusals: unknown[] = [];
      await harness.subscribe({
        group: uniqueName('group'),
        topics: [topic],
        async onBatch({ records }, { commit }) {
          const record = records.at(-1)!;
          await commit({ ...record, offset: record.offset + 1_000 }).catch((error) => refusals.push(error));
          await commit({ ...record, partition: 1 - record.partition }).catch((error) => refusals.push(error));
        },
      });
      await harness.until('both partitions tried', () => refusals.length >= 4);
      for (const refusal of refusals) expect(refusal).toMatchObject({ code: 'LOG_INVALID' });
    });
  });
}
