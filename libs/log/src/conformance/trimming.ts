import { describe, expect, it } from 'vitest';
import { type Harness, numbered, readAll, textOf } from './harness.js';

export function trimmingTests(harness: Harness): void {
  const boundsOf = async (topic: string) => {
    const { earliest, latest } = await harness.log.positions([topic]);
    return { earliest: earliest[topic]!, latest: latest[topic]! };
  };

  describe('trimming', () => {
    it('deletes the records before an offset, and no other; those that stay keep their offsets', async () => {
      const [topic, other] = [await harness.topic(2), await harness.topic()];
      await harness.log.publish([...numbered(topic, 60), ...numbered(other, 3)]);
      const before = await readAll(harness.log, [topic]);
      const cut = before.filter(({ partition }) => partition === 1)[7]!.offset;
      await harness.log.trim({ [topic]: [0, cut] });
      expect((await boundsOf(topic)).earliest).toEqual([0, cut]);
      const kept = before.filter(({ partition, offset }) => partition === 0 || offset >= cut);
      const places = (records: typeof before) =>
        records
          .map((record) => [record.partition, record.offset, textOf(record)])
          .toSorted(([a, b], [c, d]) => Number(a) - Number(c) || Number(b) - Number(d));
      expect(places(await readAll(harness.log, [topic]))).toEqual(places(kept));
      expect(places(await readAll(harness.log, [topic], { [topic]: [0, 0] }))).toEqual(places(kept));
      expect(await readAll(harness.log, [other])).toHaveLength(3);
    });

    it('empties a topic, which goes on with the next offset', async () => {
      const topic = await harness.topic();
      await harness.log.publish(numbered(topic, 2_500));
      const { latest } = await boundsOf(topic);
      await harness.log.trim({ [topic]: latest });
      expect(await boundsOf(topic)).toEqual({ earliest: latest, latest });
      expect(await readAll(harness.log, [topic])).toEqual([]);
      await harness.log.publish(numbered(topic, 1, 'next '));
      const [next] = await readAll(harness.log, [topic]);
      expect([textOf(next!), next!.offset >= latest[0]!]).toEqual(['next 0', true]);
    });

    it('deletes nothing up to where the topic begins, however often it is asked', async () => {
      const topic = await harness.topic();
      await harness.log.publish(numbered(topic, 10));
      await harness.log.trim({ [topic]: [5] });
      await harness.log.trim({ [topic]: [5] });
      await harness.log.trim({ [topic]: [2] });
      await harness.log.trim({ [topic]: [] });
      expect(await readAll(harness.log, [topic])).toHaveLength(5);
    });

    it('moves a group that lags behind it to the first record that stays', async () => {
      const topic = await harness.topic();
      const group = topic;
      await harness.log.publish(numbered(topic, 10));
      const [first] = await readAll(harness.log, [topic]);
      const producer = await harness.log.transactional(topic);
      const commits = [{ group, topic, partition: 0, offset: first!.offset + 1 }];
      await producer.transact({ records: [], commits });
      await harness.log.trim({ [topic]: [first!.offset + 8] });
      expect((await harness.log.lag(group, [topic]))[topic]).toEqual([2]);
      const texts: string[] = [];
      await harness.subscribe({
        group,
        topics: [topic],
        onBatch: async ({ records }) => void texts.push(...records.map(textOf)),
      });
      await harness.until('the rest came', () => texts.length === 2);
      expect(texts).toEqual(['record 8', 'record 9']);
    });

    it('is refused past the end, of compacted topics, and of what is not there', async () => {
      const [topic, compacted] = [await harness.topic(), await harness.topic(1, { cleanup: 'compact' })];
      await harness.log.publish([...numbered(topic, 3), ...numbered(compacted, 3)]);
      const end = (await boundsOf(topic)).latest[0]!;
      const invalid = { code: 'LOG_INVALID' };
      await expect(harness.log.trim({ [topic]: [end + 1] })).rejects.toMatchObject(invalid);
      await expect(harness.log.trim({ [topic]: [-1] })).rejects.toMatchObject(invalid);
      await expect(harness.log.trim({ [compacted]: [1] })).rejects.toMatchObject(invalid);
      const unknown = { code: 'LOG_UNKNOWN_TOPIC' };
      await expect(harness.log.trim({ [topic]: [0, 0] })).rejects.toMatchObject(unknown);
      await expect(harness.log.trim({ nowhere: [0] })).rejects.toMatchObject(unknown);
      expect(await readAll(harness.log, [topic])).toHaveLength(3);
    });
  });
}
