import { describe, expect, it } from 'vitest';
import type { LogRecord } from '../port.js';
import { type Harness, numbered, readAll, sum, textOf, uniqueName } from './harness.js';

export function transactionTests(harness: Harness): void {
  describe('transactions', () => {
    it('publish to several topics and commit a group, together', async () => {
      const [source, a, b] = [await harness.topic(1), await harness.topic(3), await harness.topic(2)];
      const group = uniqueName('group');
      await harness.log.publish(numbered(source, 10));
      const producer = await harness.log.transactional(uniqueName('producer'));
      await producer.transact({
        records: [...numbered(a, 20), ...numbered(b, 20)],
        commits: [{ group, topic: source, partition: 0, offset: 6 }],
      });
      expect(await readAll(harness.log, [a])).toHaveLength(20);
      expect(await readAll(harness.log, [b])).toHaveLength(20);
      expect((await harness.log.lag(group, [source]))[source]).toEqual([4]);
      const rest: string[] = [];
      await harness.subscribe({
        group,
        topics: [source],
        onBatch: async ({ records }) => void rest.push(...records.map(textOf)),
      });
      await harness.until('the rest is handled', () => rest.length >= 4);
      expect(rest).toEqual(['record 6', 'record 7', 'record 8', 'record 9']);
      await producer.close();
    });

    it('that fail leave nothing, and do not harm the next', async () => {
      const [source, topic] = [await harness.topic(), await harness.topic(2)];
      const group = uniqueName('group');
      await harness.log.publish(numbered(source, 5));
      const producer = await harness.log.transactional(uniqueName('producer'));
      const commits = [{ group, topic: source, partition: 0, offset: 5 }];
      const unknown = numbered(`${topic}-unknown`, 1);
      await expect(
        producer.transact({ records: [...numbered(topic, 10, 'bad '), ...unknown], commits }),
      ).rejects.toMatchObject({ code: 'LOG_UNKNOWN_TOPIC' });
      await expect(
        producer.transact({
          records: numbered(topic, 10, 'bad '),
          commits: [{ group, topic: source, partition: 9, offset: 5 }],
        }),
      ).rejects.toMatchObject({ code: 'LOG_UNKNOWN_TOPIC' });
      expect(await readAll(harness.log, [topic])).toEqual([]);
      expect((await harness.log.lag(group, [source]))[source]).toEqual([5]);
      await producer.transact({ records: numbered(topic, 10, 'good '), commits });
      const records = await readAll(harness.log, [topic]);
      expect(records).toHaveLength(10);
      expect(records.every((record) => textOf(record).startsWith('good '))).toBe(true);
      expect((await harness.log.lag(group, [source]))[source]).toEqual([0]);
      await producer.close();
    });

    it('of an older producer are fenced, again and again', async () => {
      const topic = await harness.topic();
      const id = uniqueName('producer');
      const older = await harness.log.transactional(id);
      await older.transact({ records: numbered(topic, 1, 'older ') });
      const newer = await harness.log.transactional(id);
      for (let attempt = 0; attempt < 2; attempt++)
        await expect(older.transact({ records: numbered(topic, 1, 'zombie ') })).rejects.toMatchObject({
          code: 'LOG_FENCED',
        });
      await newer.transact({ records: numbered(topic, 1, 'newer ') });
      expect((await readAll(harness.log, [topic])).map(textOf)).toEqual(['older 0', 'newer 0']);
      await Promise.all([older.close(), newer.close()]);
    });

    it('of different ids do not concern each other', async () => {
      const topic = await harness.topic();
      const ids = [uniqueName('producer'), uniqueName('producer')];
      const producers = await Promise.all(ids.map((id) => harness.log.transactional(id)));
      for (const producer of [...producers, ...producers])
        await producer.transact({ records: numbered(topic, 5) });
      expect(await readAll(harness.log, [topic])).toHaveLength(20);
      await Promise.all(producers.map((producer) => producer.close()));
    });

    it('may consist of commits alone', async () => {
      const topic = await harness.topic();
      const group = uniqueName('group');
      await harness.log.publish(numbered(topic, 5));
      const producer = await harness.log.transactional(uniqueName('producer'));
      await producer.transact({ records: [], commits: [{ group, topic, partition: 0, offset: 2 }] });
      expect((await harness.log.lag(group, [topic]))[topic]).toEqual([3]);
      await producer.close();
    });

    it('make consume, work, produce exactly once, though the handler fails after them', async () => {
      const [source, target] = [await harness.topic(2), await harness.topic()];
      const group = uniqueName('group');
      await harness.log.publish(numbered(source, 40));
      const producer = await harness.log.transactional(uniqueName('producer'));
      const failed = new Set<number>();
      await harness.subscribe({
        group,
        topics: [source],
        maxBatchRecords: 10,
        retryDelayMs: 1,
        onError: () => {},
        async onBatch({ topic, partition, records }) {
          await producer.transact({
            records: records.map(({ key, value }) => ({ topic: target, key, value })),
            commits: [{ group, topic, partition, offset: records.at(-1)!.offset + 1 }],
          });
          if (failed.has(partition)) return;
          failed.add(partition);
          throw new Error('after the transaction');
        },
      });
      await harness.until(
        'all is committed',
        async () => sum((await harness.log.lag(group, [source]))[source]!) === 0,
      );
      const texts = (records: readonly LogRecord[]) => records.map(textOf).toSorted();
      expect(texts(await readAll(harness.log, [target]))).toEqual(
        texts(await readAll(harness.log, [source])),
      );
      expect(failed.size).toBe(2);
      await producer.close();
    });

    it('end with the producer', async () => {
      const topic = await harness.topic();
      const producer = await harness.log.transactional(uniqueName('producer'));
      await producer.close();
      await producer.close();
      await expect(producer.transact({ records: numbered(topic, 1) })).rejects.toMatchObject({
        code: 'LOG_CLOSED',
      });
    });
  });
}
