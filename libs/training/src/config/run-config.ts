import { RunId } from '@rlhf-streams/events';
import { z } from 'zod';
import { TrainingError } from '../errors.js';
import { DpoConfig, optimizerConfig, PpoConfig, RewardConfig, SftConfig } from './hyperparameters.js';
import { DataSource, ModelSource, SamplingConfig, ScorerSource } from './sources.js';

const share = z.number().min(0).max(1);

/** What every run has. */
const common = {
  run: RunId.describe('name of the run; ids, folders and events carry it'),
  seed: z.int().min(0).default(0),
  steps: z.int().min(1).max(1_000_000),
  microBatchSize: z
    .int()
    .min(1)
    .max(4096)
    .default(16)
    .describe('sequences a worker computes at once: fixes the bits of a run, not its result'),
  checkpointEvery: z
    .int()
    .min(1)
    .default(10)
    .describe('steps; what came since is computed again after a crash'),
  stallTimeoutMs: z
    .int()
    .min(1000)
    .default(600_000)
    .describe('a run that waits longer for events fails and says for which'),
  allow: z
    .strictObject({
      dropped: share.default(0.05).describe('rows that do not fit the model or the method'),
      cut: share.default(0.2).describe('rows shortened to what the model takes'),
    })
    .prefault({})
    .describe('shares of the data that may be lost; a run that would lose more is refused'),
};

/** Runs that train. */
const trained = {
  replay: RunId.optional().describe(
    'a run that has ended: trains on the events it logged, issues none, and may differ only in how it learns',
  ),
};

/** Runs over a fixed dataset. */
const dataset = {
  data: DataSource,
  batchSize: z.int().min(1).max(65_536).default(32).describe('texts or comparisons of a step'),
  testFraction: z
    .number()
    .min(0)
    .max(0.9)
    .default(0)
    .describe('of the data, never trained on and evaluated at the end'),
  maxTestItems: z.int().min(1).max(65_536).default(256).describe('held-out items evaluated'),
  prefetchSteps: z.int().min(1).max(1000).default(4).describe('steps issued ahead of training'),
};

/** Runs that sample from a policy. */
const sampled = {
  prompts: DataSource,
  testFraction: z.number().min(0).max(0.9).default(0.1).describe('of the prompts, kept out of training'),
  promptWords: z.int().min(1).default(3).describe('of a text without prompts, so many first words are one'),
  batchSize: z.int().min(1).max(65_536).default(64).describe('prompts of a step'),
  samplesPerPrompt: z.int().min(1).max(1024).default(1),
  sampling: SamplingConfig.prefault({}),
  timeoutMs: z.int().min(1).default(300_000).describe('generation of a rollout may take so long'),
};

export const SftRun = z.strictObject({
  ...common,
  ...trained,
  ...dataset,
  method: z.literal('sft'),
  model: ModelSource,
  optimizer: optimizerConfig(2e-5),
  sft: SftConfig,
});

export const RewardRun = z.strictObject({
  ...common,
  ...trained,
  ...dataset,
  method: z.literal('reward'),
  model: ModelSource.describe('the body to start from; the scoring head is new'),
  optimizer: optimizerConfig(1e-4),
  reward: RewardConfig,
});

export const PpoRun = z.strictObject({
  ...common,
  ...trained,
  ...sampled,
  method: z.literal('ppo'),
  model: ModelSource,
  reference: ModelSource.optional().describe(
    "frozen, with the policy's tokenizer; the initial policy if not given",
  ),
  value: ModelSource.optional().describe(
    "where the value model starts: the first scorer, if it is a model with the policy's tokenizer and context, else the initial policy",
  ),
  scorers: z
    .array(ScorerSource)
    .min(1)
    .describe(
      'the first one rewards, the others are only reported; with a tokenizer of its own one reads the text',
    ),
  maxStaleness: z
    .int()
    .min(0)
    .max(100)
    .default(0)
    .describe('versions a rollout may be older than the policy it trains'),
  optimizer: optimizerConfig(3e-6),
  ppo: PpoConfig,
});

export const DpoRun = z.strictObject({
  ...common,
  ...trained,
  ...dataset,
  method: z.literal('dpo'),
  model: ModelSource,
  reference: ModelSource.optional().describe(
    "frozen, with the policy's tokenizer; the initial policy if not given",
  ),
  optimizer: optimizerConfig(1e-6),
  dpo: DpoConfig,
});

/** Samples, scores and, with `rank`, records comparisons; trains nothing. */
export const SampleRun = z.strictObject({
  ...common,
  ...sampled,
  method: z.literal('sample'),
  model: ModelSource,
  reference: ModelSource.optional().describe('with it, log-probs and KL are reported'),
  scorers: z.array(ScorerSource).default([]),
  rank: z
    .boolean()
    .default(false)
    .describe("record a comparison of each prompt's samples by the first scorer"),
  testPrompts: z.boolean().default(false).describe('take the prompts kept out of training'),
});

/** A run's configuration: what a config file holds and POST /v1/runs takes. */
export const RunConfig = z.discriminatedUnion('method', [SftRun, RewardRun, PpoRun, DpoRun, SampleRun]);
export type RunConfig = z.output<typeof RunConfig>;
export type RunConfigInput = z.input<typeof RunConfig>;
export type MethodName = RunConfig['method'];
export type ConfigOf<Name extends MethodName> = Extract<RunConfig, { method: Name }>;

/** @throws TrainingError TRAINING_CONFIG_INVALID naming every mistake by its path and what was expected. */
export function parseRunConfig(json: unknown): RunConfig {
  const result = RunConfig.safeParse(json);
  if (result.success) return result.data;
  throw new TrainingError(
    'TRAINING_CONFIG_INVALID',
    `not a run's configuration:\n${z.prettifyError(result.error)}`,
  );
}
