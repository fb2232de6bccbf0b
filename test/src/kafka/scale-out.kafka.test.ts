import '@rlhf-streams/kafka-broker/vitest';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { topics } from '@rlhf-streams/events';
import { partitionOf } from '@rlhf-streams/log';
import type { RunConfigInput } from '@rlhf-streams/runs';
import type { Processes, Supervised } from 'rlhf-streams';
import { afterEach, beforeEach, describe, expect, inject, it } from 'vitest';
import { tinyPpo, writeReviews } from '../platform/tiny-runs.js';
import { ENDLESS, firstVersions, goOn, whileGoing } from './endless.js';
import { ledgerOf } from './ledger.js';
import { publishes, replicasOf } from './replicas.js';
import { logOf, withServices } from './services.js';
import { until } from './waiting.js';

const TIMEOUT_MS = 300_000;
const kafka = inject('kafka');

let folder: string;
let data: string;
let directory: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'scale-out-'));
  directory = join(folder, 'kafka');
  data = await writeReviews(folder);
});
afterEach(() => rm(folder, { recursive: true }));

const endlessPpo = (run: string, seed: number): RunConfigInput => ({
  ...tinyPpo(data),
  run,
  seed,
  steps: ENDLESS,
  checkpointEvery: 5,
});

/** Every version published is the one that the run publishes undisturbed, and none is left out. */
async function expectUndisturbed(services: Processes, runs: readonly RunConfigInput[]): Promise<void> {
  const { versions, deadLetters } = await ledgerOf(services);
  const counts = Object.fromEntries(Object.entries(versions).map(([run, known]) => [run, known.length]));
  expect(versions).toEqual(await firstVersions(join(folder, 'embedded'), runs, counts));
  expect(deadLetters).toEqual([]);
}

/** So many names of runs that stand in different partitions, so that owners share them. */
function namesApart(count: number): string[] {
  const names = new Map<number, string>();
  for (let i = 0; names.size < count; i++) {
    const partition = partitionOf(`ppo-${i}`, topics.runs.partitions);
    if (!names.has(partition)) names.set(partition, `ppo-${i}`);
  }
  return [...names.values()];
}

const logHas = (name: string, pattern: RegExp) =>
  until(`${pattern} in the log of ${name}`, async () => pattern.test(await logOf({ directory, name })));

describe.skipIf(!kafka)('replicas that come and go', () => {
  it(
    'of policy and reward share the work, and change nothing of what comes of it',
    async () => {
      const run = endlessPpo('ppo', 7);
      await withServices({ brokers: kafka!.brokers, directory }, async (services) => {
        await whileGoing(services, [run], async () => {
          const [firstPolicy] = replicasOf(services, 'policy');
          const [firstReward] = replicasOf(services, 'reward');
          const generates = (replica: Supervised) => publishes(replica, 'rollouts');
          const scores = (replica: Supervised) => publishes(replica, 'rewards');
          await Promise.all([generates(firstPolicy!), scores(firstReward!)]);

          const [policy, reward] = await Promise.all([services.start('policy'), services.start('reward')]);
          await Promise.all([
            generates(firstPolicy!),
            generates(policy),
            scores(firstReward!),
            scores(reward),
          ]);
          const more = await Promise.all([services.start('policy'), services.start('policy')]);
          await Promise.all([firstPolicy!, policy, ...more].map(generates));

          const { lives } = policy;
          policy.kill('SIGKILL');
          await Promise.all([firstPolicy!.stop(), firstReward!.stop(), policy.ready(lives)]);
          await Promise.all([...[policy, ...more].map(generates), scores(reward)]);
          await Promise.all(more.map((replica) => replica.stop()));
          await goOn(services, [run]);
        });
        await expectUndisturbed(services, [run]);
      });
    },
    TIMEOUT_MS,
  );

  it(
    'of the optimizer share the runs, take over from one that died, and keep one that only seemed dead from publishing',
    async () => {
      const runs = namesApart(4).map((name, seed) => endlessPpo(name, seed));
      const replicas = { optimizer: 2 };
      await withServices({ brokers: kafka!.brokers, directory, replicas }, async (services) => {
        await whileGoing(services, runs, async () => {
          const trains = (replica: Supervised) => publishes(replica, 'training-metrics');
          const [dying, surviving] = replicasOf(services, 'optimizer');
          await Promise.all([trains(dying!), trains(surviving!)]);

          dying!.kill('SIGKILL');
          await dying!.stop();
          await goOn(services, runs);

          const paused = await services.start('optimizer');
          await trains(paused);
          paused.kill('SIGSTOP');
          await goOn(services, runs);
          paused.kill('SIGCONT');
          await Promise.all([trains(paused), goOn(services, runs)]);

          // What a paused optimizer meets when it publishes before it learns that its partitions are gone.
          for (const { run } of runs) await services.log.transactional(`optimizer/${run}`);
          await logHas('optimizer', /LOG_FENCED/);
          await goOn(services, runs);
        });
        await expectUndisturbed(services, runs);
      });
    },
    TIMEOUT_MS,
  );
});
