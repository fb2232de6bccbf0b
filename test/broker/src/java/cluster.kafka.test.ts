import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { KafkaConfig } from 'kafkajs';
import { describe, expect, it } from 'vitest';
import { describeClusters } from '../cluster.test.support.js';
import { KafkaBrokerError, startKafka } from '../index.js';
import { recordsOf } from '../records.test.support.js';
import { fetchLibraries } from './libraries.js';
import { javaToolchain } from './toolchain.js';

const TIMEOUT_MS = 240_000;

const hasJava = await javaToolchain().then(
  () => true,
  (error) => {
    if (error instanceof KafkaBrokerError && error.code === 'KAFKA_BROKER_UNAVAILABLE') return false;
    throw error;
  },
);

describe.skipIf(!hasJava)('with Java and Maven', { timeout: TIMEOUT_MS }, () => {
  describeClusters('java');

  it('a secure cluster lets its user in by every mechanism, and nobody else', async () => {
    const kafka = await startKafka({ secure: true });
    try {
      const { ca, username, password } = kafka.security!;
      const as = (sasl: KafkaConfig['sasl']) =>
        recordsOf(kafka.brokers, { ssl: { ca }, sasl: sasl!, retry: { retries: 0 } });
      await as({ mechanism: 'plain', username, password }).createTopic('words', 1);
      for (const mechanism of ['plain', 'scram-sha-256', 'scram-sha-512'] as const) {
        const known = as({ mechanism, username, password } as KafkaConfig['sasl']);
        expect(await known.partition('words')).toEqual({ leader: 1, inSync: [1] });
        const wrong = as({ mechanism, username, password: 'guessed' } as KafkaConfig['sasl']);
        await expect(wrong.partition('words')).rejects.toThrow(/authentication/i);
      }
      await expect(recordsOf(kafka.brokers, { retry: { retries: 0 } }).partition('words')).rejects.toThrow();
      const distrustful = recordsOf(kafka.brokers, { ssl: true, retry: { retries: 0 } });
      await expect(distrustful.partition('words')).rejects.toThrow(/certificate/);
    } finally {
      await kafka.stop();
    }
  });

  it('a directory keeps its records for the next cluster of its kind', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'kafka-test-'));
    try {
      const first = await startKafka({ directory });
      const records = recordsOf(first.brokers);
      await records.createTopic('words', 1);
      await records.write('words', ['kept']).finally(first.stop);

      const second = await startKafka({ directory });
      const read = await recordsOf(second.brokers).read('words', 1).finally(second.stop);
      expect(read).toEqual(['kept']);

      await expect(startKafka({ directory, nodes: 3 })).rejects.toMatchObject({
        code: 'KAFKA_BROKER_INVALID',
        message: expect.stringMatching(/cluster of 3, but it holds the data of a cluster of 1/),
      });
    } finally {
      await rm(directory, { recursive: true });
    }
  });

  it('the libraries come whole, also for two that fetch them at once', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'kafka-test-'));
    try {
      const libraries = join(folder, 'libraries');
      await Promise.all([fetchLibraries(libraries), fetchLibraries(libraries)]);
      expect(await readdir(folder)).toEqual(['libraries']);
      expect(await readdir(libraries)).toContainEqual(expect.stringMatching(/^kafka_2\.13-.*\.jar$/));
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});
