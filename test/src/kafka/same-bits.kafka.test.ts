import '@rlhf-streams/kafka-broker/vitest';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, inject, it } from 'vitest';
import {
  tinyComparisons,
  tinyDpo,
  tinyPpo,
  tinyReward,
  tinySft,
  writeReviews,
} from '../platform/tiny-runs.js';
import { completeInTurn, ledgerOf, undisturbed } from './ledger.js';
import { withServices } from './services.js';

const kafka = inject('kafka');

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'same-bits-'));
});
afterEach(() => rm(folder, { recursive: true }));

describe.skipIf(!kafka)('every service a process of its own, on Kafka', () => {
  it('ends every kind of run in the same bits as one process on the embedded log', async () => {
    const data = await writeReviews(folder);
    const ppo = { ...tinyPpo(data, 'run:sft'), scorers: ['run:reward'] };
    const runs = [tinySft(data), tinyComparisons(data), tinyReward(), ppo, tinyDpo()];
    const expected = await undisturbed(join(folder, 'embedded'), runs);

    const directory = join(folder, 'kafka');
    const ledger = await withServices({ brokers: kafka!.brokers, directory }, async (services) => {
      await completeInTurn(services, runs);
      return ledgerOf(services);
    });
    expect(ledger).toEqual(expected);
    expect(Object.keys(ledger.weights).sort()).toEqual(['comparisons', 'dpo', 'ppo', 'reward', 'sft']);
    expect(ledger.deadLetters).toEqual([]);
  }, 180_000);
});
