import { z } from 'zod';
import { named } from '../settings.js';
import { everyRun, training } from './every-run.js';
import {
  initialValue,
  policy,
  policyAsReference,
  SHARED,
  scorer,
  trainedPolicy,
  trainedValue,
  value,
} from './models.js';
import { optimizerConfig } from './optimizer.js';
import {
  advantageSettings,
  onRewardedSamples,
  rewarded,
  rewardedMetrics,
  rewardedProgress,
  rewardSettings,
} from './rewarded.js';
import { defineMethod } from './spec.js';

const config = z
  .strictObject({
    ...everyRun,
    ...training,
    ...rewarded,
    method: z.literal('trpo').describe('trust region policy optimisation'),
    value: initialValue.describe(
      "where the value model starts: the first scorer, if it is a model with the policy's tokenizer and context, else the initial policy; it has a trunk of its own",
    ),
    optimizer: optimizerConfig(1e-4).describe('AdamW of the value model: the policy has no learning rate'),
    trpo: z
      .strictObject({
        delta: z
          .number()
          .positive()
          .default(0.01)
          .describe(
            'the trust region: most nats per token, in the mean, by which a step may take the policy from the one that sampled',
          )
          .register(named, { as: ['max_kl', 'target_kl', 'maxKl'] }),
        cgIterations: z
          .int()
          .min(1)
          .max(1000)
          .default(10)
          .describe('Fisher-vector products by which conjugate gradient finds the direction, at most')
          .register(named, { as: ['cg_iters', 'cg_max_steps'] }),
        cgDamping: z
          .number()
          .min(0)
          .default(0.1)
          .describe('added to the diagonal of the Fisher information matrix, which is singular without it')
          .register(named, { as: ['damping', 'damping_coeff'] }),
        backtrackCoef: z
          .number()
          .gt(0)
          .lt(1)
          .default(0.8)
          .describe('by which a step that is not accepted is shortened')
          .register(named, { as: ['backtrack_coeff', 'line_search_shrinking_factor'] }),
        backtrackIterations: z
          .int()
          .min(1)
          .max(1000)
          .default(10)
          .describe('steps that are tried, at most: if none is accepted, the weights stay as they are')
          .register(named, { as: ['backtrack_iters', 'max_backtracks', 'line_search_max_iter'] }),
        fisherFraction: z
          .number()
          .gt(0)
          .max(1)
          .default(1)
          .describe(
            "share of a step's responses that Fisher-vector products are taken over, drawn anew each step; the surrogate and the KL of the line search are over all",
          ),
        numValueEpochs: z
          .int()
          .min(1)
          .default(4)
          .describe("updates of the value model on a step's returns, after the policy's step")
          .register(named, { as: ['n_critic_updates', 'train_v_iters', 'vf_iters'] }),
        ...rewardSettings,
        ...advantageSettings,
      })
      .prefault({})
      .describe('what TRPO has of its own'),
  })
  .refine(({ value }) => value !== SHARED, {
    path: ['value'],
    error:
      'expected a value model of its own: the updates of a value head would move a trunk that the policy shares, out of the trust region that its step was measured in',
  })
  .meta({
    title: 'Trust region policy optimisation',
    description:
      'Trains a policy on its own samples for the reward of a scorer, less the KL from a frozen reference: one step of natural gradient at a time, within a bound on the KL from the policy that sampled.',
    source: 'Schulman et al. 2015, https://arxiv.org/abs/1502.05477',
    examples: [
      {
        run: 'my-trpo',
        method: 'trpo',
        steps: 100,
        model: 'run:my-sft',
        prompts: 'bundled',
        scorers: ['run:my-reward'],
      },
    ],
  });

/** The trust region is around the policy that sampled: no step is made of an older one's rollouts. */
const ON_POLICY = { ahead: 0 };

export const trpo = defineMethod({
  config,
  hyperparameters: 'trpo',
  models: [policy, policyAsReference, value, scorer],
  trains: [{ ...trainedPolicy, movedBy: 'line search' }, trainedValue],
  sequencesPerItem: 1,
  publishes: 'policy',
  progress: rewardedProgress,
  metrics: [
    ...rewardedMetrics,
    'policy/kl',
    'policy/surrogate_improvement',
    'policy/accepted',
    'policy/line_search_steps',
    'policy/step_size',
    'cg/iterations',
    'cg/residual',
    'val/ratio',
    'val/var_explained',
    'loss/value_avg',
  ],
  plan: (run) => onRewardedSamples(run, ON_POLICY),
});
