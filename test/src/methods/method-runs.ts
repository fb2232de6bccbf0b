/** Tiny runs of every method and of its variants that carry or train more, on sources that are made once. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { RunConfigInput } from '@rlhf-streams/runs';
import { bundledCorpus } from '@rlhf-streams/sentiment';
import {
  tinyComparisons,
  tinyDpo,
  tinyModel,
  tinyPpo,
  tinyReward,
  tinySft,
  writeReviews,
} from '../platform/tiny-runs.js';

const extent = { steps: 6, checkpointEvery: 2 };

export interface MethodData {
  /** Labelled texts. */
  readonly reviews: string;
  /** Completions with a label each. */
  readonly thumbs: string;
}

export async function writeData(directory: string): Promise<MethodData> {
  const thumbs = join(directory, 'thumbs.jsonl');
  const rows = bundledCorpus({ size: 80 }).map(({ text, label }) => {
    const [first, second, ...rest] = text.split(' ').slice(0, 7);
    return { prompt: `${first} ${second}`, completion: ` ${rest.join(' ')}`, label: label === 1 };
  });
  await writeFile(thumbs, rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
  return { reviews: await writeReviews(directory), thumbs };
}

/** What the runs of the methods start from and learn of. */
export const sourceRuns = ({ reviews }: MethodData): RunConfigInput[] => [
  tinySft(reviews),
  { ...tinySft(reviews), run: 'sft-llama', model: { ...tinyModel, architecture: 'llama', kvHeads: 1 } },
  { ...tinyComparisons(reviews), samplesPerPrompt: 3 },
];

/** By a name that says which variant of a method it is. */
export function methodRuns({ reviews, thumbs }: MethodData): Record<string, RunConfigInput> {
  const rewarded = { ...tinyPpo(reviews, 'run:sft'), ...extent };
  const sampled = { ...rewarded, batchSize: 4, samplesPerPrompt: 2 };
  const compared = { ...tinyDpo(), ...extent };
  return {
    sft: { ...tinySft(reviews), ...extent, model: 'run:sft' },
    reward: { ...tinyReward(), ...extent },
    'reward-best-of-n': {
      ...tinyReward(),
      ...extent,
      demonstrations: reviews,
      maxDemonstrations: 9,
      reward: { objective: 'best_of_n' },
    },
    ppo: {
      ...rewarded,
      ppo: { numPpoEpochs: 2, numMiniBatches: 2, adaptiveKl: {}, scoreNormalisation: 'running' },
    },
    'ppo-penalty-ptx': {
      ...rewarded,
      pretraining: reviews,
      pretrainingBatchSize: 5,
      ppo: { objective: 'penalty', ptxCoef: 0.5, numPpoEpochs: 2, numMiniBatches: 2 },
    },
    'ppo-shared-value': {
      ...rewarded,
      value: 'shared',
      ppo: { numPpoEpochs: 3, targetKl: 0.001, entropyCoef: 0.01, cliprangeHigh: 0.28, dualClip: 3 },
    },
    'ppo-llama': { ...rewarded, model: 'run:sft-llama', ppo: { numPpoEpochs: 2 } },
    trpo: { ...rewarded, method: 'trpo', trpo: { cgIterations: 3, fisherFraction: 0.5, numValueEpochs: 2 } },
    reinforce: { ...sampled, method: 'reinforce', reinforce: { baseline: 'leave_one_out' } },
    'reinforce-value': {
      ...rewarded,
      method: 'reinforce',
      reinforce: { baseline: 'value', rewardToGo: true, klLoss: { coef: 0.1 } },
    },
    // An adapter on each model of a pipeline: of the reward model, of the policy that it rewards, and of its value model.
    'reward-lora': { ...tinyReward(), ...extent, peft: { r: 4 } },
    'ppo-lora': {
      ...rewarded,
      scorers: ['run:of-reward-lora'],
      value: 'shared',
      peft: { r: 4, rslora: true, targetModules: ['c_attn', 'c_fc'] },
      ppo: { numPpoEpochs: 2 },
    },
    'ppo-lora-continued': {
      ...rewarded,
      model: 'run:of-ppo-lora',
      scorers: ['run:of-reward-lora'],
      peft: {},
      ppo: { numPpoEpochs: 2 },
    },
    dpo: compared,
    'dpo-lora': { ...compared, peft: {} },
    'dpo-llama-lora': { ...compared, model: 'run:sft-llama', peft: {} },
    'dpo-simpo': { ...compared, dpo: { lossType: 'simpo', beta: 2 } },
    'online-dpo': { ...sampled, method: 'onlineDpo', onlineDpo: { labels: 'sampled', alpha: 0.05 } },
    pro: { ...compared, method: 'pro', pro: { temperatures: 'reward_gaps' } },
    kto: { ...compared, method: 'kto', data: thumbs, allow: { dropped: 0.5 } },
    grpo: { ...sampled, method: 'grpo', grpo: { numIterations: 2, numMiniBatches: 2 } },
  };
}
