/** What the parts on the quickstart's task build on: its SFT model, its comparisons and its reward model. */
import { recipe } from '@rlhf-streams/sentiment';
import type { FrontierInput } from 'rlhf-streams';
import { type StudyOptions, size } from './part.js';

export const BASE = ['sft', 'comparisons', 'reward'] as const;

/** Its runs, from the recipe of the quickstart: four completions a prompt, ranked by the gold reward. */
export const baseRuns = ({ short }: StudyOptions) =>
  recipe({ data: 'bundled', seed: 0, short })
    .flatMap(({ runs }) => runs)
    .filter(({ run }) => BASE.some((name) => name === run));

export const SAMPLING = { temperature: 1, topP: 1, maxNewTokens: 32 };

const warmUp = (study: StudyOptions) => size(study, 10, 1);

/** Settings of a run on comparisons of the quickstart's task. */
export const offPolicy = (study: StudyOptions, method: string, learningRate = 1e-4) => ({
  method,
  model: 'run:sft',
  data: 'run:comparisons',
  steps: size(study, 72, 4),
  batchSize: 32,
  testFraction: 0.15,
  optimizer: { learningRate, warmupSteps: warmUp(study) },
});

/** Settings of a run on rollouts of the quickstart's task, 64 a step. */
export const onPolicy = (study: StudyOptions, method: string, learningRate = 3e-4) => ({
  method,
  model: 'run:sft',
  prompts: 'bundled',
  scorers: ['run:reward', 'gold:bundled'],
  steps: size(study, 24, 2),
  batchSize: 64,
  sampling: SAMPLING,
  optimizer: { learningRate },
});

/** Versions are judged by the gold reward, on as many held-out prompts. */
export const judged = (study: StudyOptions, every: number): FrontierInput['evaluate'] => ({
  every,
  prompts: 'bundled',
  reference: 'run:sft',
  scorers: ['gold:bundled', 'run:reward'],
  batchSize: size(study, 192, 16),
  sampling: SAMPLING,
});
