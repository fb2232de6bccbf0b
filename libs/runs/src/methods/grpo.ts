import { z } from 'zod';
import { named } from '../settings.js';
import { everyRun, training } from './every-run.js';
import { policy, policyAsReference, scorer, trainedPolicy } from './models.js';
import { optimizerConfig } from './optimizer.js';
import {
  importanceSampling,
  klLossEstimator,
  maxStaleness,
  onRewardedSamples,
  rewarded,
  rewardedMetrics,
  rewardedProgress,
  scoreSettings,
} from './rewarded.js';
import { defineMethod } from './spec.js';

const config = z
  .strictObject({
    ...everyRun,
    ...training,
    ...rewarded,
    samplesPerPrompt: z
      .int()
      .min(2)
      .max(1024)
      .default(8)
      .describe('responses sampled for each prompt of a step, which are compared with each other')
      .register(named, { as: ['num_generations', 'n', 'group_size'] }),
    method: z.literal('grpo').describe('group relative policy optimisation'),
    maxStaleness,
    optimizer: optimizerConfig(1e-6),
    grpo: z
      .strictObject({
        numIterations: z
          .int()
          .min(1)
          .default(1)
          .describe("passes over a step's rollouts")
          .register(named, { as: ['mu', 'ppo_epochs', 'num_ppo_epochs'] }),
        numMiniBatches: z.int().min(1).default(1).describe('optimizer updates per pass'),
        epsilon: z
          .number()
          .positive()
          .default(0.2)
          .describe('how far the ratio of new to old probability may leave 1')
          .register(named, { as: ['cliprange', 'clip_range'] }),
        epsilonHigh: z
          .number()
          .positive()
          .optional()
          .describe('how far above 1, where that differs (Yu et al. 2025, DAPO: 0.28)')
          .register(named, { as: ['clip_ratio_high'] }),
        beta: z
          .number()
          .min(0)
          .default(0.04)
          .describe(
            "weight of the KL from the reference in the loss, of which the reward has none: the paper's, where TRL has 0",
          )
          .register(named, { as: ['kl_coef', 'kl_loss_coef'] }),
        klEstimator: klLossEstimator
          .default('k3')
          .describe(
            "of that KL: the paper's k3 has the gradient of KL(reference, policy), which is another objective; k2 has that of KL(policy, reference)",
          )
          .register(named, { as: ['kl_loss_type'] }),
        scaleRewards: z
          .enum(['group', 'batch', 'none'])
          .default('group')
          .describe(
            "what a reward's distance from the mean of its group is divided by: the standard deviation of the group or of the step, or nothing (Liu et al. 2025)",
          ),
        lossType: z
          .enum(['grpo', 'dr_grpo', 'bnpo'])
          .default('grpo')
          .describe(
            "how the losses of tokens are put together: grpo takes the mean over each response's tokens and then over responses, dr_grpo divides their sum by responses and maxNewTokens (Liu et al. 2025), bnpo takes the mean over all tokens",
          ),
        ...scoreSettings,
        importanceSampling,
      })
      .prefault({})
      .describe('what GRPO has of its own'),
  })
  .meta({
    title: 'Group relative policy optimisation',
    description:
      'Trains a policy on groups of its own samples of a prompt, each by how its reward compares with those of its group, without a value model.',
    source: 'Shao et al. 2024, section 4.1, https://arxiv.org/abs/2402.03300',
    examples: [
      {
        run: 'my-grpo',
        method: 'grpo',
        steps: 100,
        model: 'run:my-sft',
        prompts: 'bundled',
        scorers: ['run:my-reward'],
      },
    ],
  });

export const grpo = defineMethod({
  config,
  hyperparameters: 'grpo',
  models: [policy, policyAsReference, scorer],
  trains: [trainedPolicy],
  sequencesPerItem: 1,
  publishes: 'policy',
  progress: rewardedProgress,
  metrics: [
    ...rewardedMetrics,
    'policy/approxkl_avg',
    'policy/clipfrac_avg',
    'val/ratio',
    'val/ratio_var',
    'sampling/importance_sampling_ratio/*',
  ],
  plan: (run) => onRewardedSamples(run, { ahead: run.maxStaleness }),
});
