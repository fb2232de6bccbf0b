/** Runs that train a policy on its own samples, for the reward of a scorer less the KL from a frozen reference. */
import { z } from 'zod';
import { named } from '../settings.js';
import { evaluateEvery } from './every-run.js';
import { frozenReference, initialPolicy, rewardingScorers } from './models.js';
import { promptsOf, type SampledConfig, sampled, sampledStream } from './sampling.js';
import type { Plan, Progress } from './spec.js';

export const rewarded = {
  ...sampled,
  evaluateEvery: evaluateEvery.describe(
    'steps between evaluations: held-out prompts, sampled from the version that the step starts from; without it, there are none',
  ),
  maxTestItems: z
    .int()
    .min(1)
    .max(65_536)
    .default(256)
    .describe('held-out prompts of an evaluation, at most'),
  klBudget: z
    .number()
    .positive()
    .default(25)
    .describe('nats per response from the reference, beyond which the run warns; it goes on'),
  model: initialPolicy,
  reference: frozenReference,
  scorers: rewardingScorers,
};

/** How a score is used; it is published and reported as the scorer gave it. */
export const scoreSettings = {
  missingEosPenalty: z
    .number()
    .min(0)
    .default(0)
    .describe('taken from the score of a response that is cut at its greatest length'),
  scoreNormalisation: z
    .enum(['none', 'batch', 'running'])
    .default('none')
    .describe(
      'scores are used as they are, or less a mean and divided by a standard deviation: over the step, or over all steps so far',
    )
    .register(named, { as: ['use_score_norm', 'use_score_scaling', 'normalize_reward', 'reward_norm'] }),
  scoreClip: z
    .number()
    .positive()
    .optional()
    .describe('how far from 0 a score may be when it is used, after normalisation')
    .register(named, { as: ['cliprange_reward', 'reward_clip', 'reward_clip_range'] }),
};

/** What the reward of a response is made of, besides its score. */
export const rewardSettings = {
  klCoef: z
    .number()
    .min(0)
    .default(0.05)
    .describe('reward taken away per nat of KL from the reference (Ouyang et al. 2022, equation 2)')
    .register(named, { as: ['init_kl_coef', 'kl_penalty', 'beta'] }),
  klEstimator: z
    .enum(['k1', 'k2', 'k3'])
    .default('k1')
    .describe(
      "estimator of a token's KL from its log-probs: k1 and k3 are unbiased, k2 and k3 never negative (Schulman 2020)",
    ),
  ...scoreSettings,
};

export const gamma = z.number().min(0).max(1).default(1).describe('discount of later rewards per token');

/** How advantages are made of rewards and learned values. */
export const advantageSettings = {
  gamma,
  lam: z
    .number()
    .min(0)
    .max(1)
    .default(0.95)
    .describe('lambda of generalised advantage estimation (Schulman et al. 2016): less bias towards 1')
    .register(named, { as: ['lambda', 'gae_lambda'] }),
  whitenRewards: z.boolean().default(false).describe("divide a step's rewards by their standard deviation"),
};

export const vfCoef = z
  .number()
  .min(0)
  .default(0.1)
  .describe('weight of the value loss beside that of the policy');

/** Of methods that learn from rollouts of an older version, too. */
export const maxStaleness = z
  .int()
  .min(0)
  .max(100)
  .default(0)
  .describe('versions by which a rollout may be older than the policy it trains');

export const importanceSampling = z
  .strictObject({
    mode: z
      .literal('token_truncate')
      .default('token_truncate')
      .describe('each token is weighted by the ratio of the two policies, at most by the cap'),
    cap: z
      .number()
      .min(1)
      .max(1e6)
      .default(2)
      .describe('greatest weight of a token, which bounds the variance (Ionides 2008)'),
  })
  .optional()
  .describe(
    'corrects for rollouts of an older version than the one that is trained (Hilton et al. 2022); changes nothing where there are none; {} takes its defaults',
  );

/** What estimates a KL that is a term of the loss. */
export const klLossEstimator = z.enum(['k2', 'k3'], {
  error: ({ input }) =>
    input === 'k1'
      ? 'expected k2 or k3: in a loss the gradient of k1 is 0 in expectation, so that it holds nothing back'
      : undefined,
});

/** The KL as a term of the loss. */
export const klLossSettings = {
  klLoss: z
    .strictObject({
      estimator: klLossEstimator
        .default('k2')
        .describe(
          'k2 has the gradient of KL(policy, reference); k3 that of KL(reference, policy), which is another objective',
        )
        .register(named, { as: ['kl_loss_type'] }),
      coef: z
        .number()
        .positive()
        .describe('weight beside the loss of the policy')
        .register(named, { as: ['kl_loss_coef'] }),
    })
    .optional()
    .describe(
      'adds the KL from the reference to the loss, besides what klCoef takes from the reward: set that to 0 to have it here alone',
    )
    .register(named, { as: ['use_kl_loss'] }),
};

export const rewardedProgress: Progress = {
  step: [
    ['score', 'objective/scores'],
    ['gold', 'scores/gold'],
    ['KL', 'objective/kl'],
  ],
  heldOut: [
    ['held-out score', 'eval/objective/scores'],
    ['held-out KL', 'eval/objective/kl'],
  ],
};

/** What every such run reports of its rollouts, and of its updates. */
export const rewardedMetrics = [
  'objective/kl',
  'objective/entropy',
  'objective/non_score_reward',
  'objective/rlhf_reward',
  'objective/scores',
  'objective/used_scores',
  'objective/score_mean',
  'objective/score_std',
  'objective/score_clipfrac',
  'policy/entropy_avg',
  'loss/policy_avg',
  'loss/kl_avg',
  'val/num_eos_tokens',
  'rollout/length',
  'rollout/length_score_correlation',
  'completions/clipped_ratio',
  'frac_reward_zero_std',
  'rollout/staleness',
  'rollout/staleness_max',
  'scores/*',
  'grad_norm',
  'lr',
  'episode',
  'eval/objective/scores',
  'eval/objective/kl',
  'eval/rollout/length',
];

const joins = ['rollouts', 'rewards', 'reference-logprobs'] as const;

type RewardedConfig = SampledConfig & {
  readonly evaluateEvery?: number | undefined;
  readonly maxTestItems: number;
};

/** @param ahead versions by which a rollout may be older than the policy it trains */
export const onRewardedSamples = (run: RewardedConfig, { ahead }: Pick<Plan, 'ahead'>): Plan => ({
  data: promptsOf(run),
  streams: [
    sampledStream(run, { joins }),
    ...(run.evaluateEvery === undefined
      ? []
      : [
          {
            name: 'evaluation' as const,
            split: 'test' as const,
            draws: { first: run.maxTestItems },
            samples: 1,
            joins,
            schedule: { every: run.evaluateEvery },
          },
        ]),
  ],
  ahead,
  onPolicy: true,
  publishEvery: 1,
});
