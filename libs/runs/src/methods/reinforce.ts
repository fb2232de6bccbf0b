import { z } from 'zod';
import { named } from '../settings.js';
import { everyRun, training } from './every-run.js';
import { initialValue, policy, policyAsReference, scorer, trainedPolicy, withValueModel } from './models.js';
import { optimizerConfig } from './optimizer.js';
import {
  gamma,
  klLossSettings,
  onRewardedSamples,
  rewarded,
  rewardedMetrics,
  rewardedProgress,
  rewardSettings,
  vfCoef,
} from './rewarded.js';
import { defineMethod } from './spec.js';

const config = z
  .strictObject({
    ...everyRun,
    ...training,
    ...rewarded,
    method: z.literal('reinforce').describe('policy gradient with a baseline'),
    value: initialValue,
    optimizer: optimizerConfig(3e-6),
    reinforce: z
      .strictObject({
        baseline: z
          .enum(['none', 'batch_mean', 'leave_one_out', 'value'])
          .default('batch_mean')
          .describe(
            "taken from each response's reward: nothing, the mean over the step, the mean over the other samples of the prompt, which is RLOO (Ahmadian et al. 2024), or what a value model that is trained beside the policy expects at each token",
          ),
        rewardToGo: z
          .boolean()
          .default(false)
          .describe(
            'credits a token with the rewards from it on, of which each has its own KL; without it with those of the whole response',
          )
          .register(named, { as: ['reward_to_go'] }),
        gamma: gamma.describe('discount of later rewards per token, with rewardToGo'),
        vfCoef: vfCoef.describe('weight of the value loss beside that of the policy, with baseline: value'),
        ...rewardSettings,
        ...klLossSettings,
      })
      .prefault({})
      .describe('what REINFORCE has of its own'),
  })
  .refine(({ value, reinforce }) => value === undefined || reinforce.baseline === 'value', {
    path: ['value'],
    error: 'expected reinforce.baseline to be value, the only one that has a value model',
  })
  .refine(({ reinforce }) => reinforce.gamma === 1 || reinforce.rewardToGo, {
    path: ['reinforce', 'gamma'],
    error: 'expected 1, or reinforce.rewardToGo: the reward of a whole response is not discounted',
  })
  .refine(
    ({ reinforce, samplesPerPrompt }) => reinforce.baseline !== 'leave_one_out' || samplesPerPrompt > 1,
    {
      path: ['samplesPerPrompt'],
      error:
        'expected at least 2 samples of each prompt, which the baseline leave_one_out compares with each other',
    },
  )
  .refine(
    ({ reinforce, batchSize, samplesPerPrompt }) =>
      reinforce.baseline !== 'batch_mean' || batchSize * samplesPerPrompt > 1,
    {
      path: ['batchSize'],
      error: 'expected at least 2 responses a step, which the baseline batch_mean compares with each other',
    },
  )
  .meta({
    title: 'REINFORCE',
    description:
      'Trains a policy on its own samples for the reward of a scorer, less the KL from a frozen reference: one update a step, by a baseline of other samples or of a value model.',
    source: 'Williams 1992; Ahmadian et al. 2024, https://arxiv.org/abs/2402.14740',
    examples: [
      {
        run: 'my-reinforce',
        method: 'reinforce',
        steps: 100,
        model: 'run:my-sft',
        prompts: 'bundled',
        scorers: ['run:my-reward'],
      },
    ],
  });

/** The policy gradient is an expectation over samples of the policy itself: no step is made of an older one's. */
const ON_POLICY = { ahead: 0 };

export const reinforce = defineMethod({
  config,
  hyperparameters: 'reinforce',
  models: [policy, policyAsReference, scorer],
  trains: [trainedPolicy],
  sequencesPerItem: 1,
  publishes: 'policy',
  progress: rewardedProgress,
  metrics: [...rewardedMetrics, 'loss/value_avg', 'val/var_explained'],
  plan: (run) => ({
    ...onRewardedSamples(run, ON_POLICY),
    ...(run.reinforce.baseline === 'value' && withValueModel(run.value)),
  }),
});
