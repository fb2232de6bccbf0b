import { z } from 'zod';
import { ModelSource } from '../source-schemas.js';
import { everyRun } from './every-run.js';
import { optionalReference, policy, reference, reportingScorers, scorer } from './models.js';
import { keptColumns, promptsOf, sampled, sampledStream } from './sampling.js';
import { defineMethod } from './spec.js';

const config = z
  .strictObject({
    ...everyRun,
    ...sampled,
    method: z.literal('sample').describe('samples and trains nothing'),
    model: ModelSource.describe('the policy to sample from'),
    reference: optionalReference,
    scorers: reportingScorers,
    rank: z.boolean().default(false).describe("record a comparison of each prompt's samples by their scores"),
    once: z
      .boolean()
      .default(false)
      .describe(
        'answer each prompt once: the last step of a pass has those that are left, and begins no other pass',
      ),
    completions: z
      .enum(['sampled', 'given'])
      .default('sampled')
      .describe(
        'given: of rows of {prompt, completion} or of preferences, whose best is taken, the completions stand in for samples, so that they are scored as samples are; their log-probs are those of the model',
      ),
    keep: keptColumns,
    testPrompts: z.boolean().default(false).describe('take the prompts kept out of training'),
  })
  .meta({
    title: 'Sampling',
    description:
      'Samples from a policy, scores the samples and, with rank, records preferences; trains nothing.',
    source: 'Stiennon et al. 2020, section 3, https://arxiv.org/abs/2009.01325',
    examples: [{ run: 'my-samples', method: 'sample', steps: 10, model: 'run:my-sft', prompts: 'bundled' }],
  });

/** The policy never changes, so that nothing bounds how far ahead steps are issued: this much keeps services busy. */
const STEPS_AHEAD = 2;

export const sample = defineMethod({
  config,
  models: [policy, reference, scorer],
  trains: [],
  sequencesPerItem: 1,
  publishes: 'policy',
  progress: {
    step: [
      ['score', 'objective/scores'],
      ['KL', 'objective/kl'],
      ['length', 'rollout/length'],
    ],
    heldOut: [],
  },
  metrics: [
    'rollout/count',
    'rollout/length',
    'val/num_eos_tokens',
    'objective/scores',
    'scores/*',
    'objective/kl',
  ],
  plan: (run) => ({
    data: { ...promptsOf(run), keep: run.keep, given: run.completions === 'given' },
    streams: [
      sampledStream(run, {
        once: run.once,
        split: run.testPrompts ? 'test' : 'train',
        joins: [
          'rollouts',
          ...(run.scorers.length > 0 ? (['rewards'] as const) : []),
          ...(run.reference !== undefined ? (['reference-logprobs'] as const) : []),
        ],
      }),
    ],
    ahead: STEPS_AHEAD,
    onPolicy: false,
    publishEvery: 1,
  }),
});
