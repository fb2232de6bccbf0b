/** Runs that sample from a policy: their settings, and the prompts that they ask for. */
import { z } from 'zod';
import { named } from '../settings.js';
import { DataSources } from '../source-schemas.js';
import { parseSource } from '../sources.js';
import { MOST_COMPLETIONS } from './dataset.js';
import { chat } from './every-run.js';
import type { JoinedTopic, PromptsSpec, StreamSpec } from './spec.js';

const SamplingConfig = z.strictObject({
  temperature: z
    .number()
    .min(0)
    .max(10)
    .default(0.7)
    .describe('what logits are divided by before a token is drawn; 0 is greedy'),
  topK: z.int().min(0).default(0).describe('draw from the K likeliest tokens; 0 keeps every token'),
  topP: z
    .number()
    .gt(0)
    .max(1)
    .default(1)
    .describe('draw from the fewest tokens whose probabilities sum to at least this (Holtzman et al. 2020)'),
  maxNewTokens: z
    .int()
    .min(1)
    .default(53)
    .describe("tokens after which a response is cut (TRL's response_length)")
    .register(named, { as: ['response_length', 'max_completion_length', 'max_tokens'] }),
});

export const sampled = {
  prompts: DataSources.describe(
    'rows of {prompt}, a text or a conversation to answer, or of {messages}; of {text}, the first words are taken; run:ID, the prompts that a sampling run answered, with its answers as completion in their metadata',
  ).register(named, {
    as: ['data', 'dataset', 'dataset_name', 'train_dataset'],
  }),
  chat,
  testFraction: z
    .number()
    .min(0)
    .max(0.9)
    .default(0.1)
    .describe('share of the prompts, kept out of training')
    .register(named, { as: ['test_size', 'test_split'] }),
  promptWords: z
    .int()
    .min(1)
    .default(3)
    .describe('first words of a text that are its prompt, where data have no prompts'),
  batchSize: z.int().min(1).max(65_536).default(64).describe('prompts of a step'),
  samplesPerPrompt: z
    .int()
    .min(1)
    .max(MOST_COMPLETIONS)
    .default(1)
    .describe('responses sampled for each prompt of a step')
    .register(named, { as: ['num_generations', 'n'] }),
  sampling: SamplingConfig.prefault({})
    .describe('how responses are drawn')
    .register(named, {
      as: ['generation', 'generation_config', 'generation_kwargs'],
    }),
  timeoutMs: z
    .int()
    .min(1)
    .default(300_000)
    .describe('milliseconds that the generation of a rollout may take'),
};

/** Columns that a measurement is to be told apart by. */
export const keptColumns = z
  .array(z.string().min(1))
  .default([])
  .describe(
    'other columns of the data that go along as metadata, such as a language, to tell what was measured apart by them',
  );

export type SampledConfig = z.output<z.ZodObject<typeof sampled>>;

export const promptsOf = ({
  prompts,
  chat,
  promptWords,
  sampling,
  timeoutMs,
}: SampledConfig): PromptsSpec => ({
  kind: 'prompts',
  source: parseSource('data', prompts),
  ...(chat && { chat }),
  words: promptWords,
  sampling,
  timeoutMs,
});

/** The prompts of a step, and what their rollouts are joined from. */
export const sampledStream = (
  { batchSize, samplesPerPrompt }: SampledConfig,
  {
    split = 'train',
    once = false,
    joins,
  }: { split?: StreamSpec['split']; once?: boolean; joins: readonly JoinedTopic[] },
): StreamSpec => ({
  name: 'train',
  split,
  draws: { batch: batchSize, ...(once && { once }) },
  samples: samplesPerPrompt,
  joins,
});
