/** Tests of a cluster, the same for whatever runs it. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type KafkaCluster, type KafkaOptions, startKafka } from './index.js';
import { recordsOf } from './records.test.support.js';
import { tracesInDocker, tracesOfJava } from './traces.test.support.js';

const CHILD = fileURLToPath(new URL('./cluster.test.child.js', import.meta.url));
const TIMEOUT_MS = 240_000;
const GONE = { timeout: 30_000, interval: 100 };

export function describeClusters(source: 'docker' | 'java'): void {
  let temporary: string;
  let clusters: KafkaCluster[];
  beforeEach(async () => {
    temporary = await mkdtemp(join(tmpdir(), 'kafka-test-'));
    clusters = [];
    vi.stubEnv('TMPDIR', temporary);
  });
  afterEach(async () => {
    await Promise.all(clusters.map((cluster) => cluster.stop()));
    vi.unstubAllEnvs();
    await rm(temporary, { recursive: true });
  });
  const start = async (options: KafkaOptions = {}) => {
    const cluster = await startKafka({ source, ...options });
    clusters.push(cluster);
    return cluster;
  };
  const tracesOf = async (brokers: readonly string[]) =>
    source === 'java' ? tracesOfJava(brokers, temporary) : tracesInDocker(brokers);

  describe(`a cluster of ${source}`, { timeout: TIMEOUT_MS }, () => {
    it('keeps its records over a kill, makes no topic by use, and leaves nothing behind', async () => {
      const kafka = await start({ settings: { 'max.connections.per.ip': '1000' } });
      const left = await tracesOf(kafka.brokers);
      expect(await left()).not.toEqual([]);
      const records = recordsOf(kafka.brokers);
      await records.createTopic('words', 1);
      await records.write('words', ['in', 'the', 'beginning']);
      expect(await records.read('words', 3)).toEqual(['in', 'the', 'beginning']);

      await kafka.nodes[0]!.kill();
      await kafka.nodes[0]!.kill();
      await kafka.nodes[0]!.start();
      await kafka.nodes[0]!.start();
      await records.write('words', ['again']);
      expect(await records.read('words', 4)).toEqual(['in', 'the', 'beginning', 'again']);

      const impatient = recordsOf(kafka.brokers, { retry: { retries: 1 } });
      await expect(impatient.write('never-made', ['x'])).rejects.toThrow();

      await kafka.stop();
      await kafka.stop();
      expect(await left()).toEqual([]);
      await expect(kafka.nodes[0]!.start()).rejects.toMatchObject({ code: 'KAFKA_BROKER_STOPPED' });
    });

    it('of three nodes goes on without any one of them', async () => {
      const kafka = await start({ nodes: 3 });
      const left = await tracesOf(kafka.brokers);
      const records = recordsOf(kafka.brokers);
      await records.createTopic('words', 3);
      await records.write('words', ['first']);
      expect(await records.read('words', 1)).toEqual(['first']);

      const { leader } = await records.partition('words');
      const node = kafka.nodes.find(({ id }) => id === leader)!;
      await node.kill();
      await records.write('words', ['second']);
      expect(await records.read('words', 2)).toEqual(['first', 'second']);

      await node.start();
      await vi.waitFor(async () => expect((await records.partition('words')).inSync).toHaveLength(3), {
        timeout: 60_000,
        interval: 200,
      });
      await kafka.nodes.find(({ id }) => id !== leader)!.kill();
      await records.write('words', ['third']);
      expect(await records.read('words', 3)).toEqual(['first', 'second', 'third']);

      await kafka.stop();
      expect(await left()).toEqual([]);
    });

    it('ends with the process that started it, also when that is killed', async () => {
      const parent = spawn(process.execPath, [CHILD, source], { stdio: ['ignore', 'pipe', 'inherit'] });
      try {
        const [line] = await once(createInterface(parent.stdout), 'line');
        const left = await tracesOf(JSON.parse(line));
        expect(await left()).not.toEqual([]);
        parent.kill('SIGKILL');
        await vi.waitFor(async () => expect(await left()).toEqual([]), GONE);
      } finally {
        parent.kill('SIGKILL');
      }
    });

    it('that cannot start says why and leaves nothing behind', async () => {
      const refused = start({ settings: { 'log.cleaner.dedupe.buffer.size': '1' } });
      await expect(refused).rejects.toMatchObject({
        code: 'KAFKA_BROKER_FAILED',
        message: expect.stringContaining('log.cleaner.dedupe.buffer.size'),
      });
      const traces = await tracesOf([]);
      expect(await traces()).toEqual([]);
    });
  });
}
