/** Runs on a model so small that a step takes milliseconds: for what a run goes through, not for what it learns. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { RunConfigInput } from '@rlhf-streams/runs';
import { bundledCorpus } from '@rlhf-streams/sentiment';

type ConfigFor<Method extends RunConfigInput['method']> = Extract<RunConfigInput, { method: Method }>;

/** Nine of ten reviews are longer than the tiny model's context. */
const allow = { cut: 1 };
const common = { seed: 7, microBatchSize: 2, batchSize: 8, allow };
const sampling = { temperature: 1, topP: 1, maxNewTokens: 8 };
const optimizer = { learningRate: 2e-3 };

export const tinyModel = { layers: 2, width: 32, heads: 2, contextLength: 32, vocabSize: 320 };

/** Settings of a platform: each thread takes a second to start, and the weights are the same on any number. */
export const oneThread = { RLHF_POLICY_THREADS: '1', RLHF_SCORING_THREADS: '1', RLHF_OPTIMIZER_WORKERS: '1' };

/** Writes a few labelled texts into a folder; their path is a run's data. */
export async function writeReviews(directory: string): Promise<string> {
  const path = join(directory, 'reviews.jsonl');
  const lines = bundledCorpus({ size: 200 }).map((row) => `${JSON.stringify(row)}\n`);
  await writeFile(path, lines.join(''));
  return path;
}

export const tinySft = (data: string): ConfigFor<'sft'> => ({
  ...common,
  run: 'sft',
  method: 'sft',
  model: tinyModel,
  data,
  steps: 6,
  checkpointEvery: 3,
  optimizer,
});

export const tinyPpo = (data: string, model: ConfigFor<'ppo'>['model'] = tinyModel): ConfigFor<'ppo'> => ({
  ...common,
  run: 'ppo',
  method: 'ppo',
  model,
  prompts: data,
  scorers: [`gold:${data}`],
  steps: 6,
  checkpointEvery: 3,
  sampling,
  optimizer,
});

/** Two completions a prompt, ranked by the gold reward. */
export const tinyComparisons = (data: string): ConfigFor<'sample'> => ({
  ...common,
  run: 'comparisons',
  method: 'sample',
  model: 'run:sft',
  prompts: data,
  scorers: [`gold:${data}`],
  rank: true,
  steps: 3,
  samplesPerPrompt: 2,
  sampling,
});

export const tinyReward = (): ConfigFor<'reward'> => ({
  ...common,
  run: 'reward',
  method: 'reward',
  model: 'run:sft',
  data: 'run:comparisons',
  steps: 3,
  checkpointEvery: 2,
  optimizer,
});

export const tinyKto = (): ConfigFor<'kto'> => ({
  ...common,
  run: 'kto',
  method: 'kto',
  model: 'run:sft',
  data: 'feedback:thumbs',
  steps: 4,
  testFraction: 0.2,
  checkpointEvery: 2,
  optimizer,
});

export const tinyDpo = (): ConfigFor<'dpo'> => ({
  ...common,
  run: 'dpo',
  method: 'dpo',
  model: 'run:sft',
  data: 'run:comparisons',
  steps: 4,
  testFraction: 0.2,
  checkpointEvery: 2,
  optimizer,
});
