import { z } from 'zod';
import { DataSource, ModelSource } from '../source-schemas.js';
import { parseSource } from '../sources.js';
import { dataset, MOST_COMPLETIONS, overDataset, pairLength, preferences } from './dataset.js';
import { everyRun, training } from './every-run.js';
import { body, trainedReward } from './models.js';
import { optimizerConfig } from './optimizer.js';
import { defineMethod, type Plan } from './spec.js';

const config = z
  .strictObject({
    ...everyRun,
    ...training,
    ...dataset(preferences),
    method: z.literal('reward').describe('reward model'),
    model: ModelSource.describe('the body to start from; the scoring head is new'),
    demonstrations: DataSource.optional().describe(
      "texts of which the mean score is to be 0, rows of {text} or {prompt, completion} (Ouyang et al. 2022): that score by the last weights is `score_offset` in the published model's config.json, and subtracted from all it gives. It is computed after the last step, and with each evaluation",
    ),
    maxDemonstrations: z.int().min(1).max(65_536).default(256).describe('demonstrations scored, at most'),
    optimizer: optimizerConfig(1e-4),
    reward: z
      .strictObject({
        maxLength: pairLength,
        objective: z
          .enum(['pairs', 'best_of_n', 'best_worst'])
          .default('pairs')
          .describe(
            'pairs is the likelihood of all pairs of a comparison that are ranked apart, which together count as one (Ouyang et al. 2022); best_of_n that of the best among all (Ziegler et al. 2019), without margins; best_worst takes the best and the worst alone',
          ),
        centerRewardsCoefficient: z
          .number()
          .min(0)
          .default(0)
          .describe(
            'pulls the two rewards of a pair to a sum of 0; 0.01 is recommended (Eisenstein et al. 2023)',
          ),
      })
      .prefault({})
      .describe('what reward models have of their own'),
  })
  .meta({
    title: 'Reward model',
    description:
      'Trains a model to score responses so that preferred ones score higher (Bradley-Terry likelihood).',
    source: 'Ouyang et al. 2022, step 2, https://arxiv.org/abs/2203.02155',
    examples: [
      { run: 'my-reward', method: 'reward', steps: 100, model: 'run:my-sft', data: 'preferences.jsonl' },
    ],
  });

export const reward = defineMethod({
  config,
  hyperparameters: 'reward',
  models: [body],
  trains: [trainedReward],
  sequencesPerItem: MOST_COMPLETIONS,
  earlier: { reward: { objective: 'best_worst' } },
  publishes: 'reward model',
  progress: {
    step: [
      ['loss', 'loss'],
      ['accuracy', 'accuracy'],
    ],
    heldOut: [['held-out accuracy', 'eval/accuracy']],
  },
  metrics: [
    'loss',
    'accuracy',
    'margin',
    'mean_reward',
    'score_offset',
    'pairs',
    'grad_norm',
    'lr',
    'eval/loss',
    'eval/accuracy',
    'eval/margin',
    'eval/mean_reward',
    'eval/min_reward',
    'eval/max_reward',
    'eval/pairs',
  ],
  plan(run) {
    const limit = { setting: 'reward.maxLength', tokens: run.reward.maxLength };
    return withDemonstrations(run, overDataset(run, { kind: 'comparisons', limit }));
  },
});

/** Adds the texts whose mean score is to be 0, if there are any, after the items of the run without them. */
function withDemonstrations(
  { demonstrations, maxDemonstrations, maxTestItems, evaluateEvery, reward }: z.output<typeof config>,
  plan: Plan,
): Plan {
  if (demonstrations === undefined) return plan;
  const limit = { setting: 'reward.maxLength', tokens: reward.maxLength };
  const source = parseSource('data', demonstrations);
  return {
    ...plan,
    datasets: { demonstrations: { kind: 'demonstrations', source, limit, maxTestItems } },
    streams: [
      ...plan.streams,
      {
        name: 'demonstrations',
        dataset: 'demonstrations',
        split: 'train',
        draws: { first: maxDemonstrations },
        joins: ['demonstrations'],
        schedule: { every: evaluateEvery },
      },
    ],
  };
}
