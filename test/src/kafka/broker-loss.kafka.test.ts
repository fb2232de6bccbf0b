import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { seededRandom } from '@rlhf-streams/data';
import { type KafkaCluster, startKafka } from '@rlhf-streams/kafka-broker';
import '@rlhf-streams/kafka-broker/vitest';
import { openClient } from 'rlhf-streams';
import { afterEach, beforeEach, describe, expect, inject, it } from 'vitest';
import { tinyPpo, tinySft, writeReviews } from '../platform/tiny-runs.js';
import { type Ledger, ledgerOf, undisturbed } from './ledger.js';
import { completeThrough, type Moment } from './moments.js';
import { environmentOn, withServices } from './services.js';

const TIMEOUT_MS = 180_000;
/** Milliseconds that a service waits for a broker before it gives up a call. */
const DEADLINE_MS = 3_000;
const seed = Number(process.env.CRASH_SEED ?? Date.now() % 1_000_000);

let folder: string;
let runs: [ReturnType<typeof tinySft>, ReturnType<typeof tinyPpo>];
let expected: Ledger;
let kafka: KafkaCluster | undefined;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'broker-loss-'));
  const data = await writeReviews(folder);
  runs = [tinySft(data), tinyPpo(data)];
  expected = await undisturbed(join(folder, 'embedded'), runs);
});
afterEach(async () => {
  await kafka?.stop();
  await rm(folder, { recursive: true });
});

/** The runs on Kafka, at once, through what happens at these moments. */
async function disturbed(
  { brokers, nodes }: KafkaCluster,
  settings: Record<string, string>,
  moments: readonly Moment[],
): Promise<Ledger> {
  const directory = join(folder, 'kafka');
  const environment = { ...environmentOn(brokers), RLHF_TOPIC_REPLICATION: String(nodes.length) };
  // The test itself is more patient than its services.
  const client = await openClient({ directory, environment });
  try {
    return await withServices(
      { brokers, directory, environment: { ...environment, ...settings } },
      async () => {
        await completeThrough(client, runs, moments, TIMEOUT_MS);
        return ledgerOf(client);
      },
    );
  } finally {
    await client.close();
  }
}

// These tests start brokers of their own, which is possible wherever a broker could be provided.
describe.skipIf(!inject('kafka'))(`runs end in the same bits (CRASH_SEED=${seed})`, () => {
  it(
    'when the only broker is killed, twice, and stays away for longer than a call waits for it',
    async () => {
      kafka = await startKafka();
      const [node] = kafka.nodes;
      const random = seededRandom(seed);
      const total = expected.facts.sft! + expected.facts.ppo!;
      const act = async () => {
        await node!.kill();
        await delay(DEADLINE_MS);
        await node!.start();
      };
      const moments = [0.1, 0.5].map((part) => ({
        facts: Math.ceil((part + 0.4 * random.float()) * total),
        act,
      }));
      expect(await disturbed(kafka, { KAFKA_DEADLINE_MS: String(DEADLINE_MS) }, moments)).toEqual(expected);
      expect(expected.deadLetters).toEqual([]);
    },
    2 * TIMEOUT_MS,
  );

  it(
    'when one of three brokers is lost for good',
    async () => {
      kafka = await startKafka({ nodes: 3 });
      const { nodes } = kafka;
      const random = seededRandom(seed);
      const total = expected.facts.sft! + expected.facts.ppo!;
      const moment = {
        facts: Math.ceil((0.1 + 0.6 * random.float()) * total),
        act: () => nodes[random.below(nodes.length)]!.kill(),
      };
      expect(await disturbed(kafka, {}, [moment])).toEqual(expected);
    },
    2 * TIMEOUT_MS,
  );
});
