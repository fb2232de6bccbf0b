import '@rlhf-streams/kafka-broker/vitest';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, inject, it } from 'vitest';
import { tinyComparisons, tinyDpo, tinyPpo, tinySft, writeReviews } from '../platform/tiny-runs.js';
import { killsOf, momentsOf, planKills } from './kills.js';
import { completeInTurn, ledgerOf, undisturbed } from './ledger.js';
import { completeThrough } from './moments.js';
import { withServices } from './services.js';

const TIMEOUT_MS = 300_000;
const seed = Number(process.env.CRASH_SEED ?? Date.now() % 1_000_000);

const kafka = inject('kafka');

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'kill-matrix-'));
});
afterEach(() => rm(folder, { recursive: true }));

describe.skipIf(!kafka)('services that are killed again and again', () => {
  it(
    `end a PPO and a DPO run in the same bits as if nobody had (CRASH_SEED=${seed})`,
    async () => {
      const data = await writeReviews(folder);
      const before = [tinySft(data), tinyComparisons(data)];
      const ppo = { ...tinyPpo(data, 'run:sft'), steps: 8 };
      const dpo = { ...tinyDpo(), steps: 8 };
      const expected = await undisturbed(join(folder, 'embedded'), [...before, ppo, dpo]);

      const directory = join(folder, 'kafka');
      await withServices({ brokers: kafka!.brokers, directory }, async (services) => {
        await completeInTurn(services, before);
        const plan = planKills(seed, expected.facts.ppo! + expected.facts.dpo!);
        await completeThrough(services, [ppo, dpo], momentsOf(services, plan), TIMEOUT_MS);
        expect(await ledgerOf(services)).toEqual(expected);
        const deaths = services.services.map(({ service, lives }) => [service, lives - 1]);
        expect(deaths).toEqual(deaths.map(([service]) => [service, killsOf(service as string, plan)]));
      });
      expect(expected.deadLetters).toEqual([]);
    },
    1.5 * TIMEOUT_MS,
  );
});
