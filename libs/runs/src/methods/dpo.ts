import { z } from 'zod';
import { named } from '../settings.js';
import { dataset, MOST_COMPLETIONS, overDataset, pairLength, preferences } from './dataset.js';
import { everyRun, training } from './every-run.js';
import { frozenReference, initialPolicy, policy, policyAsReference, trainedPolicy } from './models.js';
import { optimizerConfig } from './optimizer.js';
import { defineMethod } from './spec.js';

const config = z
  .strictObject({
    ...everyRun,
    ...training,
    ...dataset(preferences),
    method: z.literal('dpo').describe('direct preference optimisation'),
    model: initialPolicy,
    reference: frozenReference,
    optimizer: optimizerConfig(1e-6),
    dpo: z
      .strictObject({
        beta: z
          .number()
          .positive()
          .default(0.1)
          .describe('weight of the KL from the reference in the objective that DPO solves')
          .register(named, { as: ['kl_coef'] }),
        lossType: z
          .enum(['sigmoid', 'ipo', 'hinge', 'robust'])
          .default('sigmoid')
          .describe(
            'sigmoid is DPO (Rafailov et al. 2023), ipo by Azar et al. 2023, hinge by Zhao et al. 2023, robust by Chowdhury et al. 2024',
          )
          .register(named, { as: ['loss'] }),
        labelSmoothing: z
          .number()
          .min(0)
          .lt(0.5)
          .default(0)
          .describe(
            'share of the pairs whose labels are taken to be flipped, for robust and for sigmoid, which then is cDPO (Mitchell 2023)',
          ),
        pairs: z
          .enum(['all', 'best_rest', 'best_worst'])
          .default('all')
          .describe(
            'pairs made of a comparison of several completions: all that are ranked apart, the best with each below it, or the best with the worst; those of a comparison together count as one',
          ),
        maxLength: pairLength,
      })
      .prefault({})
      .describe('what DPO has of its own'),
  })
  .meta({
    title: 'Direct preference optimisation',
    description: 'Trains a policy on preferences themselves, without a reward model and without sampling.',
    source: 'Rafailov et al. 2023, https://arxiv.org/abs/2305.18290',
    examples: [{ run: 'my-dpo', method: 'dpo', steps: 100, model: 'run:my-sft', data: 'preferences.jsonl' }],
  });

export const dpo = defineMethod({
  config,
  hyperparameters: 'dpo',
  models: [policy, policyAsReference],
  trains: [trainedPolicy],
  sequencesPerItem: MOST_COMPLETIONS,
  earlier: { dpo: { pairs: 'best_worst' } },
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
    'rewards/chosen',
    'rewards/rejected',
    'rewards/accuracies',
    'rewards/margins',
    'logps/chosen',
    'logps/rejected',
    'pairs',
    'grad_norm',
    'lr',
    'eval/loss',
    'eval/rewards/chosen',
    'eval/rewards/rejected',
    'eval/rewards/accuracies',
    'eval/rewards/margins',
    'eval/logps/chosen',
    'eval/logps/rejected',
    'eval/pairs',
  ],
  plan: (run) =>
    overDataset(run, {
      kind: 'comparisons',
      limit: { setting: 'dpo.maxLength', tokens: run.dpo.maxLength },
      joins: ['comparisons', 'reference-logprobs'],
    }),
});
