import { z } from 'zod';
import { ModelSource } from '../source-schemas.js';
import { dataset, MOST_COMPLETIONS, overDataset, pairLength, preferences } from './dataset.js';
import { everyRun, training } from './every-run.js';
import { body, trainedReward } from './models.js';
import { optimizerConfig } from './optimizer.js';
import { defineMethod } from './spec.js';

const config = z
  .strictObject({
    ...everyRun,
    ...training,
    ...dataset(preferences),
    method: z.literal('reward').describe('reward model'),
    model: ModelSource.describe('the body to start from; the scoring head is new'),
    optimizer: optimizerConfig(1e-4),
    reward: z
      .strictObject({
        maxLength: pairLength,
        objective: z
          .enum(['pairs', 'best_of_n', 'best_worst'])
          .default('pairs')
          .describe(
            'pairs is the likelihood of all pairs of a comparison that are ranked apart, which together count as one (Ouyang et al. 2022); best_of_n that of the best among all (Ziegler et al. 2019), without margins; best_worst takes the best and the worst alone',
          ),
        centerRewardsCoefficient: z
          .number()
          .min(0)
          .default(0)
          .describe(
            'pulls the two rewards of a pair to a sum of 0; 0.01 is recommended (Eisenstein et al. 2023)',
          ),
      })
      .prefault({})
      .describe('what reward models have of their own'),
  })
  .meta({
    title: 'Reward model',
    description:
      'Trains a model to score responses so that preferred ones score higher (Bradley-Terry likelihood).',
    source: 'Ouyang et al. 2022, step 2, https://arxiv.org/abs/2203.02155',
    examples: [
      { run: 'my-reward', method: 'reward', steps: 100, model: 'run:my-sft', data: 'preferences.jsonl' },
    ],
  });

export const reward = defineMethod({
  config,
  hyperparameters: 'reward',
  models: [body],
  trains: [trainedReward],
  sequencesPerItem: MOST_COMPLETIONS,
  earlier: { reward: { objective: 'best_worst' } },
  publishes: 'reward model',
  progress: {
    step: [
      ['loss', 'loss'],
      ['accuracy', 'accuracy'],
    ],
    heldOut: [['held-out accuracy', 'eval/accuracy']],
  },
  metrics: [
    'loss',
    'accuracy',
    'margin',
    'mean_reward',
    'pairs',
    'grad_norm',
    'lr',
    'eval/loss',
    'eval/accuracy',
    'eval/margin',
    'eval/mean_reward',
    'eval/min_reward',
    'eval/max_reward',
    'eval/pairs',
  ],
  plan: (run) =>
    overDataset(run, {
      kind: 'comparisons',
      limit: { setting: 'reward.maxLength', tokens: run.reward.maxLength },
    }),
});
