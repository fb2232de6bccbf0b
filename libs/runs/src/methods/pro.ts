import { z } from 'zod';
import { dataset, MOST_COMPLETIONS, overDataset, pairLength, preferences } from './dataset.js';
import { everyRun, training } from './every-run.js';
import { initialPolicy, policy, trainedPolicy } from './models.js';
import { optimizerConfig } from './optimizer.js';
import { defineMethod } from './spec.js';

const config = z
  .strictObject({
    ...everyRun,
    ...training,
    ...dataset(preferences),
    method: z.literal('pro').describe('preference ranking optimisation'),
    model: initialPolicy,
    optimizer: optimizerConfig(5e-6),
    pro: z
      .strictObject({
        pairs: z
          .enum(['listwise', 'best_rest'])
          .default('listwise')
          .describe(
            'listwise has a stage for each completion that any is ranked below, against those; best_rest the first alone, the best against those below it (InfoNCE)',
          ),
        temperatures: z
          .enum(['none', 'reward_gaps'])
          .default('none')
          .describe(
            'reward_gaps scales log-probs by how much better a completion is than another: the difference of their scores, where the completions have scores in the order of their ranks, and else of their ranks',
          ),
        sftCoef: z
          .number()
          .min(0)
          .optional()
          .describe(
            'beta, the weight of the log-loss of the best completion; 0.05 (K - 1)^2 of each comparison of K completions if not given, as in the paper',
          ),
        maxLength: pairLength,
      })
      .prefault({})
      .describe('what PRO has of its own'),
  })
  .meta({
    title: 'Preference ranking optimisation',
    description:
      'Trains a policy so that the likelier of two completions is the better one, on rankings of any length, without a reward model and without a reference.',
    source: 'Song et al. 2024, https://arxiv.org/abs/2306.17492',
    examples: [{ run: 'my-pro', method: 'pro', steps: 100, model: 'run:my-sft', data: 'rankings.jsonl' }],
  });

export const pro = defineMethod({
  config,
  hyperparameters: 'pro',
  models: [policy],
  trains: [trainedPolicy],
  sequencesPerItem: MOST_COMPLETIONS,
  publishes: 'policy',
  progress: {
    step: [
      ['loss', 'loss'],
      ['accuracy', 'rewards/accuracies'],
      ['margin', 'rewards/margins'],
    ],
    heldOut: [['held-out accuracy', 'eval/rewards/accuracies']],
  },
  metrics: [
    'loss',
    'loss/pro',
    'nll_loss',
    'rewards/chosen',
    'rewards/rejected',
    'rewards/accuracies',
    'rewards/margins',
    'pairs',
    'grad_norm',
    'lr',
    'eval/loss',
    'eval/loss/pro',
    'eval/nll_loss',
    'eval/rewards/chosen',
    'eval/rewards/rejected',
    'eval/rewards/accuracies',
    'eval/rewards/margins',
    'eval/pairs',
  ],
  plan: (run) =>
    overDataset(run, {
      kind: 'comparisons',
      limit: { setting: 'pro.maxLength', tokens: run.pro.maxLength },
    }),
});
