import { describe, expect, it } from 'vitest';
import { type KafkaLogOptions, kafkaSettings } from './options.js';
import { parseAddress } from './wire/cluster.js';

const brokers = ['localhost:9092'];

describe('options', () => {
  it.each<[string, Partial<KafkaLogOptions>]>([
    ['brokers', { brokers: [] }],
    ['brokers', { brokers: ['localhost'] }],
    ['brokers', { brokers: ['a:1,b:2'] }],
    ['prefix', { prefix: 'no spaces ' }],
    ['compression', { compression: 'lz4' as 'gzip' }],
    ['replication', { replication: 1.5 }],
    ['sessionTimeoutMs', { sessionTimeoutMs: 0 }],
    ['deadlineMs', { deadlineMs: Number.POSITIVE_INFINITY }],
    ['sasl.mechanism', { sasl: { mechanism: 'oauth' as 'plain', username: 'a', password: 'b' } }],
    ['sasl', { sasl: { mechanism: 'plain', username: 'a', password: '' } }],
  ])('refuses a wrong %s at the door: %j', (name, options) => {
    expect(() => kafkaSettings({ brokers, ...options })).toThrow(
      expect.objectContaining({ code: 'LOG_INVALID', message: expect.stringContaining(name) }),
    );
  });

  it('takes addresses of every kind', () => {
    const addresses = ['localhost:9092', '10.0.0.1:1', '[::1]:9092'];
    expect(kafkaSettings({ brokers: addresses }).brokers).toEqual(addresses);
    expect(addresses.map(parseAddress)).toEqual([
      { host: 'localhost', port: 9092 },
      { host: '10.0.0.1', port: 1 },
      { host: '::1', port: 9092 },
    ]);
  });
});
