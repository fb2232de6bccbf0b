import { z } from 'zod';
import { named } from '../settings.js';
import { dataset, overDataset, thumbLength, thumbs } from './dataset.js';
import { everyRun, training } from './every-run.js';
import { frozenReference, initialPolicy, policy, policyAsReference, trainedPolicy } from './models.js';
import { optimizerConfig } from './optimizer.js';
import { defineMethod } from './spec.js';

const config = z
  .strictObject({
    ...everyRun,
    ...training,
    ...dataset(thumbs),
    method: z.literal('kto').describe('Kahneman-Tversky optimisation'),
    model: initialPolicy,
    reference: frozenReference,
    optimizer: optimizerConfig(1e-6),
    kto: z
      .strictObject({
        beta: z
          .number()
          .positive()
          .default(0.1)
          .describe('weight of the KL from the reference in the objective')
          .register(named, { as: ['kl_coef'] }),
        desirableWeight: z
          .number()
          .min(0)
          .default(1)
          .describe(
            'weight of the losses of thumbs up; where one kind is rarer, weights at which desirableWeight x thumbs up is 1 to 4/3 times undesirableWeight x thumbs down are recommended',
          )
          .register(named, { as: ['lambda_d'] }),
        undesirableWeight: z
          .number()
          .min(0)
          .default(1)
          .describe('weight of the losses of thumbs down')
          .register(named, { as: ['lambda_u'] }),
        maxLength: thumbLength,
      })
      .prefault({})
      .describe('what KTO has of its own'),
  })
  .refine(({ batchSize }) => batchSize > 1, {
    path: ['batchSize'],
    error: 'expected at least 2 thumbs a step, over which KL is estimated',
  })
  .meta({
    title: 'Kahneman-Tversky optimisation',
    description:
      'Trains a policy on completions with a thumb up or down each, as products collect them, without pairs and without a reward model.',
    source: 'Ethayarajh et al. 2024, https://arxiv.org/abs/2402.01306',
    examples: [{ run: 'my-kto', method: 'kto', steps: 100, model: 'run:my-sft', data: 'thumbs.jsonl' }],
  });

export const kto = defineMethod({
  config,
  hyperparameters: 'kto',
  models: [policy, policyAsReference],
  trains: [trainedPolicy],
  sequencesPerItem: 1,
  publishes: 'policy',
  progress: {
    step: [
      ['loss', 'loss'],
      ['margin', 'rewards/margins'],
      ['KL', 'kl'],
    ],
    heldOut: [['held-out margin', 'eval/rewards/margins']],
  },
  metrics: ktoMetrics(),
  plan: (run) =>
    overDataset(run, {
      kind: 'thumbs',
      limit: { setting: 'kto.maxLength', tokens: run.kto.maxLength },
      joins: ['thumbs', 'reference-logprobs'],
    }),
});

function ktoMetrics(): string[] {
  const measured = [
    'loss',
    'kl',
    'rewards/chosen',
    'rewards/rejected',
    'rewards/margins',
    'logps/chosen',
    'logps/rejected',
    'thumbs/up',
    'thumbs/down',
  ];
  return [...measured, 'grad_norm', 'lr', ...measured.map((name) => `eval/${name}`)];
}
