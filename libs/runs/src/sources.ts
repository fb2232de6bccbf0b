/** Where a run takes its models and data from. */
import { CollectionName, RunId } from '@rlhf-streams/events';
import { z } from 'zod';
import { named } from './names.js';

/** What a source may name. Every schema of a source is registered, so that sources are found wherever a configuration has them. */
export const sourceKinds = z.registry<{ readonly kind: 'model' | 'data' | 'scorer' }>();

/** The shape of a model to be made, in Hugging Face's GPT-2 terms. */
export const NewModel = z
  .strictObject({
    architecture: z
      .literal('gpt2')
      .default('gpt2')
      .describe('GPT-2 (Radford et al. 2019)')
      .register(named, { as: ['model_type'] }),
    layers: z
      .int()
      .min(1)
      .default(4)
      .describe('transformer blocks')
      .register(named, { as: ['n_layer', 'num_hidden_layers'] }),
    width: z
      .int()
      .min(8)
      .default(128)
      .describe('size of the hidden states, a multiple of heads')
      .register(named, { as: ['n_embd', 'hidden_size'] }),
    heads: z
      .int()
      .min(1)
      .default(4)
      .describe('attention heads of a block')
      .register(named, { as: ['n_head', 'num_attention_heads'] }),
    contextLength: z
      .int()
      .min(8)
      .default(64)
      .describe('the most tokens it takes')
      .register(named, { as: ['n_positions', 'n_ctx', 'max_position_embeddings', 'block_size'] }),
    vocabSize: z.int().min(300).default(512).describe('tokens of the byte-level BPE trained on the data'),
  })
  .meta({ title: 'a new model' });

const RUN = 'run:';
const namesRun = (source: unknown): boolean =>
  typeof source !== 'string' || !source.startsWith(RUN) || RunId.safeParse(source.slice(RUN.length)).success;
const RUN_ERROR =
  'expected run:ID, where an ID is 1-100 characters of a-z 0-9 . _ -, beginning with a letter or digit';

/** `run:ID` is what a finished run trained, `artifact:SHA256` a stored model, anything else a folder in the Hugging Face layout. */
export const ModelSource = z
  .union([z.string().min(1).meta({ title: 'run:ID, artifact:SHA256 or a folder' }), NewModel], {
    error:
      'expected run:ID, artifact:SHA256, a folder, or the shape of a new model: { layers, width, heads, contextLength, vocabSize }',
  })
  .refine(namesRun, RUN_ERROR)
  .register(named, { as: ['model_name_or_path'] });
sourceKinds.add(ModelSource, { kind: 'model' });
export type ModelSource = z.output<typeof ModelSource>;

const FEEDBACK = 'feedback:';

/**
 * `bundled` is the corpus that comes with rlhf-streams, `run:ID` the comparisons a sampling run recorded,
 * `feedback:COLLECTION` what was published on topic `feedback` when the run starts, anything else a .jsonl, .ndjson, .json,
 * .csv or .tsv file (each also with .gz), a .parquet file, or a folder that Hugging Face's `save_to_disk` wrote.
 */
export const DataSource = z
  .string()
  .min(1)
  .refine(
    (source) =>
      !source.startsWith(FEEDBACK) || CollectionName.safeParse(source.slice(FEEDBACK.length)).success,
    'expected feedback:COLLECTION, where a collection is 1-100 characters of A-Z a-z 0-9 . _ -',
  )
  .refine(namesRun, RUN_ERROR)
  .meta({ title: 'bundled, run:ID, feedback:COLLECTION, a file, or a folder of save_to_disk' });

sourceKinds.add(DataSource, { kind: 'data' });

/** A reward model's run or folder, or `gold:DATA`: a sentiment classifier trained on labelled text, of both labels. */
export const ScorerSource = z
  .string()
  .min(1)
  .refine(namesRun, RUN_ERROR)
  .meta({ title: 'run:ID, gold:DATA, artifact:SHA256 or a folder' });
sourceKinds.add(ScorerSource, { kind: 'scorer' });

export const SamplingConfig = z.strictObject({
  temperature: z
    .number()
    .min(0)
    .max(10)
    .default(0.7)
    .describe('what logits are divided by before a token is drawn; 0 is greedy'),
  topK: z.int().min(0).default(0).describe('draw from so many of the likeliest tokens; 0 keeps every token'),
  topP: z
    .number()
    .gt(0)
    .max(1)
    .default(1)
    .describe('draw from the fewest tokens that have this probability together (Holtzman et al. 2020)'),
  maxNewTokens: z
    .int()
    .min(1)
    .default(53)
    .describe("tokens after which a response is cut (TRL's response_length)")
    .register(named, { as: ['response_length', 'max_completion_length', 'max_tokens'] }),
});
