import { afterEach, describe, expect, it, vi } from 'vitest';
import { KafkaBrokerError, kafkaForTests, type startKafka } from './index.js';

const nothing: typeof startKafka = async () => {
  throw new KafkaBrokerError('KAFKA_BROKER_UNAVAILABLE', 'no Docker;\nno Java');
};
const broken: typeof startKafka = async () => {
  throw new KafkaBrokerError('KAFKA_BROKER_FAILED', 'the log of the broker');
};

afterEach(() => {
  vi.restoreAllMocks();
});

describe('a test run without a broker', () => {
  it('is told so in one line', async () => {
    const stderr = vi.spyOn(process.stderr, 'write').mockReturnValue(true);
    expect(await kafkaForTests({}, nothing)).toBeUndefined();
    expect(stderr.mock.calls).toEqual([
      [expect.stringMatching(/^Kafka suites are skipped \(no Docker; no Java\).*KAFKA_BROKERS.*\n$/)],
    ]);
  });

  it('fails when one is required, when one does not start, and when the one that is named does not answer', async () => {
    const unavailable = { code: 'KAFKA_BROKER_UNAVAILABLE' };
    await expect(kafkaForTests({ REQUIRE_KAFKA: '1' }, nothing)).rejects.toMatchObject(unavailable);
    await expect(kafkaForTests({}, broken)).rejects.toMatchObject({ code: 'KAFKA_BROKER_FAILED' });
    await expect(kafkaForTests({ KAFKA_BROKERS: 'localhost:1' })).rejects.toMatchObject({
      ...unavailable,
      message: expect.stringContaining('KAFKA_BROKERS=localhost:1'),
    });
  });
});
