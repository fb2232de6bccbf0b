import { z } from 'zod';
import { named } from '../settings.js';
import { evaluateEvery, everyRun, training } from './every-run.js';
import {
  frozenReference,
  initialPolicy,
  initialValue,
  policy,
  policyAsReference,
  rewardingScorers,
  scorer,
  trainedPolicy,
  trainedValue,
  value,
} from './models.js';
import { optimizerConfig } from './optimizer.js';
import { promptsOf, sampled, sampledStream } from './sampling.js';
import { defineMethod } from './spec.js';

const config = z
  .strictObject({
    ...everyRun,
    ...training,
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
    method: z.literal('ppo').describe('proximal policy optimisation'),
    model: initialPolicy,
    reference: frozenReference,
    value: initialValue,
    scorers: rewardingScorers,
    maxStaleness: z
      .int()
      .min(0)
      .max(100)
      .default(0)
      .describe('versions by which a rollout may be older than the policy it trains'),
    optimizer: optimizerConfig(3e-6),
    ppo: z
      .strictObject({
        numPpoEpochs: z
          .int()
          .min(1)
          .default(4)
          .describe("passes over a step's rollouts")
          .register(named, { as: ['ppo_epochs'] }),
        numMiniBatches: z.int().min(1).default(1).describe('optimizer updates per pass'),
        klCoef: z
          .number()
          .min(0)
          .default(0.05)
          .describe('reward taken away per nat of KL from the reference (Ouyang et al. 2022, equation 2)')
          .register(named, { as: ['init_kl_coef', 'kl_penalty', 'beta'] }),
        klEstimator: z
          .enum(['k1', 'k3'])
          .default('k1')
          .describe(
            "estimator of a token's KL from its log-probs: both are unbiased, k3 is never negative (Schulman 2020)",
          ),
        adaptiveKl: z
          .strictObject({
            target: z.number().positive().default(6).describe('nats per response'),
            horizon: z
              .number()
              .positive()
              .default(10_000)
              .describe('responses over which the coefficient changes by at most a fifth of itself'),
          })
          .optional()
          .describe(
            'steers klCoef so that the KL per response comes to the target (Ziegler et al. 2019); {} takes its defaults',
          )
          .register(named, { as: ['adap_kl_ctrl'] }),
        cliprange: z
          .number()
          .positive()
          .default(0.2)
          .describe(
            'how far the ratio of new to old probability may leave 1 (Schulman et al. 2017, equation 7)',
          )
          .register(named, { as: ['clip_range', 'clip_eps', 'epsilon'] }),
        cliprangeValue: z
          .number()
          .positive()
          .default(0.2)
          .describe('how far a value may leave what it was when the advantages were computed'),
        vfCoef: z.number().min(0).default(0.1).describe('weight of the value loss beside that of the policy'),
        gamma: z.number().min(0).max(1).default(1).describe('discount of later rewards per token'),
        lam: z
          .number()
          .min(0)
          .max(1)
          .default(0.95)
          .describe('lambda of generalised advantage estimation (Schulman et al. 2016): less bias towards 1')
          .register(named, { as: ['lambda', 'gae_lambda'] }),
        whitenRewards: z
          .boolean()
          .default(false)
          .describe("divide a step's rewards by their standard deviation"),
        missingEosPenalty: z
          .number()
          .min(0)
          .default(0)
          .describe('taken from the score of a response that is cut at its greatest length'),
        importanceSampling: z
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
          ),
      })
      .prefault({})
      .describe('what PPO has of its own'),
  })
  .meta({
    title: 'Proximal policy optimisation',
    description:
      'Trains a policy on its own samples for the reward of a scorer, less the KL from a frozen reference.',
    source:
      'Schulman et al. 2017, https://arxiv.org/abs/1707.06347; Ouyang et al. 2022, step 3, https://arxiv.org/abs/2203.02155',
    examples: [
      {
        run: 'my-ppo',
        method: 'ppo',
        steps: 100,
        model: 'run:my-sft',
        prompts: 'bundled',
        scorers: ['run:my-reward'],
      },
    ],
  });

const joins = ['rollouts', 'rewards', 'reference-logprobs'] as const;

export const ppo = defineMethod({
  config,
  hyperparameters: 'ppo',
  models: [policy, policyAsReference, value, scorer],
  trains: [trainedPolicy, trainedValue],
  sequencesPerItem: 1,
  publishes: 'policy',
  progress: {
    step: [
      ['score', 'objective/scores'],
      ['gold', 'scores/gold'],
      ['KL', 'objective/kl'],
    ],
    heldOut: [
      ['held-out score', 'eval/objective/scores'],
      ['held-out KL', 'eval/objective/kl'],
    ],
  },
  metrics: [
    'objective/kl',
    'objective/entropy',
    'objective/non_score_reward',
    'objective/rlhf_reward',
    'objective/scores',
    'objective/kl_coef',
    'policy/approxkl_avg',
    'policy/clipfrac_avg',
    'policy/entropy_avg',
    'loss/policy_avg',
    'loss/value_avg',
    'val/clipfrac_avg',
    'val/ratio',
    'val/ratio_var',
    'val/num_eos_tokens',
    'val/var_explained',
    'rollout/length',
    'rollout/staleness',
    'rollout/staleness_max',
    'scores/*',
    'sampling/importance_sampling_ratio/*',
    'grad_norm',
    'lr',
    'episode',
    'eval/objective/scores',
    'eval/objective/kl',
    'eval/rollout/length',
  ],
  plan: (run) => ({
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
    ahead: run.maxStaleness,
    onPolicy: true,
    publishEvery: 1,
  }),
});
