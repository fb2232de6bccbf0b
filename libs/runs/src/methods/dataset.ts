/** Runs over a fixed dataset: their settings, and what they ask of the services. */
import { z } from 'zod';
import { named } from '../settings.js';
import { DataSources } from '../source-schemas.js';
import { parseSource } from '../sources.js';
import { chat, evaluateEvery } from './every-run.js';
import type { DatasetSpec, JoinedTopic, Plan } from './spec.js';

export const demonstrations = DataSources.describe(
  'texts and conversations to imitate: rows of {text}, {prompt, completion} or {messages}',
);
export const preferences = DataSources.describe(
  'rows of {prompt, chosen, rejected}, {chosen, rejected} or {prompt, completions, ranks}, of texts or of messages, or what a sampling run ranked',
);

export const thumbs = DataSources.describe(
  'rows of {prompt, completion, label}, of texts or of messages, each label true or false; a row of {prompt, chosen, rejected} is a thumb up and one down',
);

export const dataset = (data: typeof demonstrations) => ({
  data: data.register(named, { as: ['dataset', 'dataset_name', 'train_dataset', 'prompts'] }),
  chat,
  batchSize: z
    .int()
    .min(1)
    .max(65_536)
    .default(32)
    .describe('texts, comparisons or thumbs of a step')
    .register(named, { as: ['train_batch_size'] }),
  testFraction: z
    .number()
    .min(0)
    .max(0.9)
    .default(0)
    .describe('share of the data, never trained on and evaluated after the last step')
    .register(named, { as: ['test_size', 'test_split'] }),
  evaluateEvery: evaluateEvery.describe(
    'steps between evaluations of the held-out items, by the weights after the step; the last step always has one',
  ),
  maxTestItems: z.int().min(1).max(65_536).default(256).describe('held-out items evaluated, at most'),
  prefetchSteps: z.int().min(1).max(1000).default(4).describe('steps issued ahead of training'),
});

/** The most completions of a comparison, and so samples of a prompt. */
export const MOST_COMPLETIONS = 1024;

/** The length limit of methods that learn from pairs. */
export const pairLength = z
  .int()
  .min(2)
  .default(1024)
  .describe('tokens of prompt and completion; longer comparisons are dropped');

/** The length limit of methods that learn from thumbs. */
export const thumbLength = z
  .int()
  .min(2)
  .default(1024)
  .describe('tokens of prompt and completion; longer ones are dropped');

interface DatasetConfig {
  readonly data: string | readonly string[];
  readonly chat: boolean;
  readonly batchSize: number;
  readonly evaluateEvery?: number | undefined;
  readonly maxTestItems: number;
  readonly prefetchSteps: number;
  readonly checkpointEvery: number;
}

/** Items are issued as they are; versions are published with the checkpoints. */
export const overDataset = (
  {
    data,
    chat,
    batchSize,
    evaluateEvery: every,
    maxTestItems,
    prefetchSteps,
    checkpointEvery,
  }: DatasetConfig,
  {
    kind,
    limit,
    assistantOnly,
    joins = [kind],
  }: Pick<DatasetSpec, 'kind' | 'limit' | 'assistantOnly'> & { joins?: readonly JoinedTopic[] },
): Plan => ({
  data: {
    kind,
    source: parseSource('data', data),
    limit,
    maxTestItems,
    ...(assistantOnly && { assistantOnly }),
    ...(chat && { chat }),
  },
  streams: [
    { name: 'train', split: 'train', draws: { batch: batchSize }, joins },
    { name: 'evaluation', split: 'test', draws: { first: maxTestItems }, joins, schedule: { every } },
  ],
  ahead: prefetchSteps,
  onPolicy: false,
  publishEvery: checkpointEvery,
});
