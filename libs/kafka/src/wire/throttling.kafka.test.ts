import '@rlhf-streams/kafka-broker/vitest';
import { randomBytes } from 'node:crypto';
import { readAll } from '@rlhf-streams/log/conformance';
import Encoder from 'kafkajs/src/protocol/encoder.js';
import { describe, expect, inject, it, onTestFinished } from 'vitest';
import { newTopic, openLog, TEST_TIMEOUT_MS, uniqueName } from '../broker.test.support.js';
import { kafkaSettings } from '../options.js';
import { openWire } from './wire.js';

const kafka = inject('kafka');

describe.skipIf(!kafka)('a client over its quota', { timeout: TEST_TIMEOUT_MS }, () => {
  const brokers = kafka?.brokers ?? [];

  /** https://kafka.apache.org/protocol#The_Messages_AlterClientQuotas */
  async function setQuota(clientId: string, bytesPerSecond: number): Promise<void> {
    const wire = openWire(kafkaSettings({ brokers }));
    onTestFinished(() => wire.close());
    const entity = new Encoder().writeString('client-id').writeString(clientId);
    const op = new Encoder()
      .writeString('producer_byte_rate')
      .writeDouble(bytesPerSecond)
      .writeBoolean(false);
    const entry = new Encoder().writeArray([entity]).writeArray([op]);
    const errorCode = await (await wire.controller()).connectionPool.send({
      request: {
        apiKey: 49,
        apiVersion: 0,
        apiName: 'AlterClientQuotas',
        encode: async () => new Encoder().writeArray([entry]).writeBoolean(false),
      },
      // The answer begins with the throttle time and the number of entries; then comes the first entry's error code.
      response: { decode: async (bytes) => bytes.readInt16BE(8), parse: async (code) => code },
    });
    expect(errorCode).toBe(0);
  }

  it('waits as long as the broker says, and then goes on', async () => {
    const clientId = uniqueName('client');
    await setQuota(clientId, 20_000);
    const events: { readonly at: number; readonly message: string }[] = [];
    const log = await openLog({
      brokers,
      clientId,
      compression: 'none',
      onDebug: (message) => void events.push({ at: Date.now(), message }),
    });
    const topic = await newTopic(log);
    for (let i = 0; i < 5; i++) await log.publish([{ topic, key: 'key', value: randomBytes(60_000) }]);
    const throttled = events.flatMap(({ at, message }) => {
      const [, ms] = /^Client side throttling in effect for (\d+)ms/.exec(message) ?? [];
      return ms === undefined ? [] : [{ from: at, until: at + Number(ms) }];
    });
    expect(throttled.length).toBeGreaterThan(0);
    const sent = events.filter(({ message }) => message === 'Consumed pending request');
    expect(sent.length).toBeGreaterThan(0);
    // A request that was held back was sent when its time had come, and not before.
    for (const { at } of sent)
      expect(throttled.some(({ from, until }) => from < at && at < until - 1)).toBe(false);
    expect(await readAll(log, [topic])).toHaveLength(5);
  });
});
