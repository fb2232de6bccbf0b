import { z } from 'zod';
import { named } from '../settings.js';
import { MOST_COMPLETIONS } from './dataset.js';
import { ALPHA_MISPLACED, alphaFits, dpoFamily } from './dpo-family.js';
import { everyRun, training } from './every-run.js';
import { policy, policyAsReference, scorer, trainedPolicy } from './models.js';
import { optimizerConfig } from './optimizer.js';
import { maxStaleness, onRewardedSamples, rewarded, rewardedProgress, scoreSettings } from './rewarded.js';
import { defineMethod } from './spec.js';

const config = z
  .strictObject({
    ...everyRun,
    ...training,
    ...rewarded,
    method: z.literal('onlineDpo').describe('online direct preference optimisation'),
    samplesPerPrompt: z
      .int()
      .min(2)
      .max(MOST_COMPLETIONS)
      .default(2)
      .describe('responses sampled for each prompt of a step, which are compared with each other')
      .register(named, { as: ['num_generations', 'n'] }),
    maxStaleness,
    optimizer: optimizerConfig(1e-6),
    onlineDpo: z
      .strictObject({
        ...dpoFamily,
        labels: z
          .enum(['scores', 'sampled'])
          .default('scores')
          .describe(
            'who ranks the responses to a prompt: scores, of which equal ones are ties; sampled draws a ranking in which the better of two responses is the one that people of the model of Bradley and Terry prefer, by their scores',
          ),
        missingEosPenalty: scoreSettings.missingEosPenalty,
      })
      .prefault({})
      .describe('what online DPO has of its own'),
  })
  .refine(({ onlineDpo }) => alphaFits(onlineDpo), { path: ['onlineDpo', 'alpha'], error: ALPHA_MISPLACED })
  .meta({
    title: 'Online direct preference optimisation',
    description:
      "Trains a policy on preferences between its own fresh samples, ranked by a scorer; a step's comparisons are recorded, to be trained on again.",
    source: 'Guo et al. 2024, https://arxiv.org/abs/2402.04792',
    examples: [
      {
        run: 'my-online-dpo',
        method: 'onlineDpo',
        steps: 100,
        model: 'run:my-sft',
        prompts: 'bundled',
        scorers: ['run:my-reward'],
      },
    ],
  });

export const onlineDpo = defineMethod({
  config,
  hyperparameters: 'onlineDpo',
  models: [policy, policyAsReference, scorer],
  trains: [trainedPolicy],
  sequencesPerItem: MOST_COMPLETIONS,
  publishes: 'policy',
  progress: rewardedProgress,
  metrics: [
    'loss',
    'rewards/chosen',
    'rewards/rejected',
    'rewards/accuracies',
    'rewards/margins',
    'logps/chosen',
    'logps/rejected',
    'pairs',
    'objective/kl',
    'objective/entropy',
    'objective/non_score_reward',
    'objective/rlhf_reward',
    'objective/scores',
    'objective/scores_margin',
    'val/num_eos_tokens',
    'completions/clipped_ratio',
    'frac_reward_zero_std',
    'rollout/length',
    'rollout/length_score_correlation',
    'rollout/staleness',
    'rollout/staleness_max',
    'scores/*',
    'grad_norm',
    'lr',
    'episode',
    'eval/objective/scores',
    'eval/objective/kl',
    'eval/rollout/length',
  ],
  plan: (run) => onRewardedSamples(run, { ahead: run.maxStaleness }),
});
