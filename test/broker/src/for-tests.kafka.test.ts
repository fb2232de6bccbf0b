import './vitest/context.js';
import { randomUUID } from 'node:crypto';
import { describe, expect, inject, it } from 'vitest';
import { kafkaForTests } from './index.js';
import { recordsOf } from './records.test.support.js';

const kafka = inject('kafka');

describe.skipIf(!kafka)('the broker of a test run', () => {
  it('takes records, and is found again by its name', async () => {
    const found = await kafkaForTests({ KAFKA_BROKERS: kafka!.brokers.join() });
    expect(found).toMatchObject({ brokers: kafka!.brokers, source: 'environment', nodes: [] });
    const topic = randomUUID();
    const records = recordsOf(found!.brokers);
    await records.createTopic(topic, 1);
    await records.write(topic, ['word']);
    expect(await records.read(topic, 1)).toEqual(['word']);
  });
});
