import '@rlhf-streams/kafka-broker/vitest';
import { copyFile, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { RunConfigInput } from '@rlhf-streams/runs';
import { afterEach, beforeEach, describe, expect, inject, it } from 'vitest';
import { tinyComparisons, tinyDpo, tinySft, writeReviews } from '../platform/tiny-runs.js';
import { momentsOf } from './kills.js';
import { completeInTurn, ledgerOf, undisturbed } from './ledger.js';
import { completeThrough } from './moments.js';
import { withServices } from './services.js';

const TIMEOUT_MS = 240_000;
const fixture = (path: string) =>
  fileURLToPath(new URL(`../../../libs/model/fixtures/${path}`, import.meta.url));

const kafka = inject('kafka');

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'adapters-'));
});
afterEach(() => rm(folder, { recursive: true }));

describe.skipIf(!kafka)('adapters on a Llama, every service a process of its own, on Kafka', () => {
  it(
    'end in the same bits as one process on the embedded log, when the optimizer is killed',
    async () => {
      const data = await writeReviews(folder);
      const model = join(folder, 'llama');
      await mkdir(model);
      for (const name of ['config.json', 'model.safetensors'])
        await copyFile(fixture(`models/llama-tied/${name}`), join(model, name));
      for (const name of ['tokenizer.json', 'tokenizer_config.json'])
        await copyFile(fixture(`tokenizers/gpt2/${name}`), join(model, name));
      const sft: RunConfigInput = { ...tinySft(data), model, peft: { r: 4 } };
      const before = [sft, tinyComparisons(data)];
      const dpo: RunConfigInput = { ...tinyDpo(), peft: {} };
      const expected = await undisturbed(join(folder, 'embedded'), [...before, dpo]);

      const directory = join(folder, 'kafka');
      const ledger = await withServices({ brokers: kafka!.brokers, directory }, async (services) => {
        await completeInTurn(services, before);
        const kill = { service: 'optimizer', facts: Math.ceil(expected.facts.dpo! / 2) } as const;
        await completeThrough(services, [dpo], momentsOf(services, [kill]), TIMEOUT_MS / 2);
        expect(services.services.find(({ service }) => service === 'optimizer')!.lives).toBe(2);
        return ledgerOf(services);
      });
      expect(ledger).toEqual(expected);
      expect(ledger.deadLetters).toEqual([]);
      // Versions are adapters on one base.
      expect(new Set(ledger.steps.flatMap(({ published }) => published?.base.sha256 ?? [])).size).toBe(1);
      expect(ledger.steps.some(({ run, published }) => run === 'dpo' && published?.adapter)).toBe(true);
    },
    TIMEOUT_MS,
  );
});
