import { z } from 'zod';
import { dataset, MOST_COMPLETIONS, overDataset, pairLength, preferences } from './dataset.js';
import { ALPHA_MISPLACED, alphaFits, dpoFamily, isReferenceFree } from './dpo-family.js';
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
        ...dpoFamily,
        maxLength: pairLength,
      })
      .prefault({})
      .describe('what DPO has of its own'),
  })
  .refine(({ dpo }) => alphaFits(dpo), { path: ['dpo', 'alpha'], error: ALPHA_MISPLACED })
  .refine(({ dpo, reference }) => reference === undefined || !isReferenceFree(dpo), {
    path: ['reference'],
    error: 'expected none with the lossType simpo, which compares log-probs of the policy alone',
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
  plan(run) {
    const alone = isReferenceFree(run.dpo);
    const plan = overDataset(run, {
      kind: 'comparisons',
      limit: { setting: 'dpo.maxLength', tokens: run.dpo.maxLength },
      joins: alone ? ['comparisons'] : ['comparisons', 'reference-logprobs'],
    });
    return alone ? { ...plan, models: [policy] } : plan;
  },
});
