import '@rlhf-streams/kafka-broker/vitest';
import { hasKcat, kcat, kcatAll } from '@rlhf-streams/kafka-broker/kcat';
import { readAll } from '@rlhf-streams/log/conformance';
import { describe, expect, inject, it } from 'vitest';
import { newTopic, openLog, TEST_TIMEOUT_MS, texts } from '../broker.test.support.js';

const kafka = inject('kafka');

/** kcat is built on librdkafka, the client of most languages. */
describe.skipIf(!kafka || !hasKcat())('kcat', { timeout: TEST_TIMEOUT_MS }, () => {
  const brokers = kafka?.brokers ?? [];
  const lines = Array.from({ length: 200 }, (_, i) => `record ${i} ${'is compressed '.repeat(5)}`);

  it.each(['none', 'gzip', 'lz4', 'zstd', 'snappy'])('writes with %s what we read', async (codec) => {
    const log = await openLog({ brokers });
    const topic = await newTopic(log);
    const compressed = ['-X', `compression.codec=${codec}`, '-X', 'linger.ms=100', '-H', 'name=value'];
    await kcat(
      brokers,
      ['-P', '-t', topic, '-p', '0', '-K', ':', ...compressed],
      lines.map((line) => `key:${line}\n`).join(''),
    );
    const records = await readAll(log, [topic]);
    expect(texts(records)).toEqual(lines);
    expect(records[7]).toMatchObject({ key: 'key', offset: 7, headers: { name: 'value' } });
  });

  it.each(['none', 'gzip'] as const)(
    'reads what we write with %s, and not what we abort',
    async (compression) => {
      const log = await openLog({ brokers, compression });
      const topic = await newTopic(log);
      await log.publish(
        lines.map((value, i) => ({ topic, key: `key ${i}`, value, headers: { name: 'value' } })),
      );
      const producer = await log.transactional(`of ${topic}`);
      await producer.transact({ records: [{ topic, key: 'last', value: 'transacted' }] });
      expect(await kcatAll(brokers, topic, '%k|%s|%h')).toEqual([
        ...lines.map((line, i) => `key ${i}|${line}|name=value`),
        'last|transacted|',
      ]);
    },
  );
});
