import { describe, expect, it } from 'vitest';
import { MAX_RECORD_BYTES } from '../core/checks.js';
import { partitionOf } from '../core/murmur2.js';
import type { LogRecord } from '../port.js';
import { type Harness, numbered, readAll, textOf } from './harness.js';

export function publishingTests(harness: Harness): void {
  describe('publishing', () => {
    it('keeps the order within a partition, over several calls', async () => {
      const topic = await harness.topic(3);
      for (let call = 0; call < 5; call++) await harness.log.publish(numbered(topic, 40, `${call} `));
      const records = await readAll(harness.log, [topic]);
      expect(records).toHaveLength(200);
      for (const key of new Set(records.map((record) => record.key))) {
        const ofKey = records.filter((record) => record.key === key);
        const numbers = ofKey.map((record) => textOf(record).split(' ').map(Number)) as [number, number][];
        expect(numbers).toEqual(numbers.toSorted(([a, b], [c, d]) => a - c || b - d));
      }
      expectRisingOffsets(records);
    });

    it('keeps every record of concurrent calls', async () => {
      const topic = await harness.topic();
      const values = Array.from({ length: 50 }, (_, i) => `${i}`);
      await Promise.all(values.map((value) => harness.log.publish([{ topic, key: 'k', value }])));
      expect((await readAll(harness.log, [topic])).map(textOf).toSorted()).toEqual(values.toSorted());
    });

    it("sends a key where Kafka's default partitioner does", async () => {
      const topic = await harness.topic(7);
      const keys = [
        '',
        'a',
        'run-1',
        'prompt/17',
        'Zürich',
        '日本',
        ...Array.from({ length: 40 }, (_, i) => `${i}`),
      ];
      await harness.log.publish(keys.map((key) => ({ topic, key, value: key })));
      const placed = (await readAll(harness.log, [topic])).map(
        ({ key, partition }) => [key, partition] as const,
      );
      expect(new Map(placed)).toEqual(new Map(keys.map((key) => [key, partitionOf(key, 7)])));
    });

    it('gives back values, keys and headers byte for byte', async () => {
      const topic = await harness.topic();
      const allBytes = Uint8Array.from({ length: 256 }, (_, i) => i);
      const headers = { traceparent: '00-4bf92f3577b34da6-01', 'ключ 🔑': 'значение\u0000\n', empty: '' };
      const before = Date.now();
      await harness.log.publish([
        { topic, key: 'clé 🗝 \u0000', value: allBytes, headers },
        { topic, key: '', value: new Uint8Array(0) },
        { topic, key: 'text', value: 'päivää' },
        { topic, key: 'view', value: allBytes.subarray(250) },
      ]);
      const records = await readAll(harness.log, [topic]);
      expect(records.map(({ key }) => key)).toEqual(['clé 🗝 \u0000', '', 'text', 'view']);
      expect(records.map(({ value }) => [...value])).toEqual([
        [...allBytes],
        [],
        [...Buffer.from('päivää')],
        [250, 251, 252, 253, 254, 255],
      ]);
      expect(records.map((record) => ({ ...record.headers }))).toEqual([headers, {}, {}, {}]);
      for (const { timestamp } of records) expect(Math.abs(timestamp - before)).toBeLessThan(60_000);
    });

    it('holds what was published even if the caller reuses its buffer', async () => {
      const topic = await harness.topic();
      const value = Buffer.from('before');
      const published = harness.log.publish([{ topic, key: 'k', value }]);
      value.write('after!');
      await published;
      expect((await readAll(harness.log, [topic])).map(textOf)).toEqual(['before']);
    });

    it('takes 10,000 records in one call', async () => {
      const topic = await harness.topic(4);
      await harness.log.publish(numbered(topic, 10_000));
      const records = await readAll(harness.log, [topic]);
      expect(records).toHaveLength(10_000);
      expect(new Set(records.map(textOf)).size).toBe(10_000);
      expectRisingOffsets(records);
    });

    it('refuses unknown topics, and then keeps nothing of the call', async () => {
      const topic = await harness.topic();
      const unknown = `${topic}-unknown`;
      const { log } = harness;
      const refusal = { code: 'LOG_UNKNOWN_TOPIC' };
      const records = [...numbered(topic, 1), ...numbered(unknown, 1)];
      await expect(log.publish(records)).rejects.toMatchObject(refusal);
      await expect(log.positions([unknown])).rejects.toMatchObject(refusal);
      await expect(log.lag('any', [unknown])).rejects.toMatchObject(refusal);
      await expect(log.subscribe({ group: 'any', topics: [unknown] })).rejects.toMatchObject(refusal);
      await expect(readAll(log, [unknown])).rejects.toMatchObject(refusal);
      expect(await readAll(log, [topic])).toEqual([]);
    });

    it('refuses records no log could give back', async () => {
      const topic = await harness.topic();
      const { log } = harness;
      const publish = (record: object) => log.publish([{ topic, key: 'k', value: 'v', ...record }]);
      await expect(publish({ key: '\ud800' })).rejects.toMatchObject({ code: 'LOG_INVALID' });
      await expect(publish({ headers: { name: 7 } })).rejects.toMatchObject({ code: 'LOG_INVALID' });
      await expect(publish({ value: null })).rejects.toMatchObject({ code: 'LOG_INVALID' });
      await expect(publish({ value: new Uint8Array(MAX_RECORD_BYTES) })).rejects.toMatchObject({
        code: 'LOG_RECORD_TOO_LARGE',
      });
      expect(await readAll(log, [topic])).toEqual([]);
    });
  });
}

function expectRisingOffsets(records: readonly LogRecord[]): void {
  const last = new Map<number, number>();
  for (const { partition, offset } of records) {
    expect(offset).toBeGreaterThan(last.get(partition) ?? -1);
    last.set(partition, offset);
  }
}
