import { z } from 'zod';
import { everyRun, training } from './every-run.js';
import { policy, policyAsReference, scorer, trainedPolicy } from './models.js';
import { optimizerConfig } from './optimizer.js';
import {
  klLossSettings,
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
    method: z.literal('reinforce').describe('policy gradient with a baseline'),
    optimizer: optimizerConfig(3e-6),
    reinforce: z
      .strictObject({
        baseline: z
          .enum(['batch_mean', 'leave_one_out'])
          .default('batch_mean')
          .describe(
            "taken from each response's reward: the mean over the step, or over the other samples of the prompt, which is RLOO (Ahmadian et al. 2024)",
          ),
        ...rewardSettings,
        ...klLossSettings,
      })
      .prefault({})
      .describe('what REINFORCE has of its own'),
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
      'Trains a policy on its own samples for the reward of a scorer, less the KL from a frozen reference: one update a step, without a value model.',
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
  metrics: rewardedMetrics,
  plan: (run) => onRewardedSamples(run, ON_POLICY),
});
