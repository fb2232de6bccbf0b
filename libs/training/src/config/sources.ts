/** Where a run takes its models and data from. */
import { CollectionName } from '@rlhf-streams/events';
import { z } from 'zod';

/** What a source may name. Every schema of a source is registered, so that sources are found wherever a configuration has them. */
export const sourceKinds = z.registry<{ readonly kind: 'model' | 'data' | 'scorer' }>();

/** The shape of a model to be made, in Hugging Face's GPT-2 terms. */
export const NewModel = z.strictObject({
  architecture: z.literal('gpt2').default('gpt2'),
  layers: z.int().min(1).default(4),
  width: z.int().min(8).default(128),
  heads: z.int().min(1).default(4),
  contextLength: z.int().min(8).default(64),
  vocabSize: z.int().min(300).default(512).describe('of the byte-level BPE trained on the data'),
});

/** `run:ID` is what a finished run trained, `artifact:SHA256` a stored model, anything else a folder in the Hugging Face layout. */
export const ModelSource = z.union([z.string().min(1), NewModel], {
  error:
    'expected run:ID, artifact:SHA256, a folder, or the shape of a new model: { layers, width, heads, contextLength, vocabSize }',
});
sourceKinds.add(ModelSource, { kind: 'model' });
export type ModelSource = z.output<typeof ModelSource>;

const FEEDBACK = 'feedback:';

/**
 * `bundled` is the corpus that comes with rlhf-streams, `run:ID` the comparisons a sampling run recorded,
 * `feedback:COLLECTION` what was published on topic `feedback` when the run starts, `artifact:SHA256` a stored dataset,
 * anything else a .jsonl, .jsonl.gz, .json or .parquet file.
 */
export const DataSource = z
  .string()
  .min(1)
  .refine(
    (source) =>
      !source.startsWith(FEEDBACK) || CollectionName.safeParse(source.slice(FEEDBACK.length)).success,
    'expected feedback:COLLECTION, where a collection is 1-100 characters of A-Z a-z 0-9 . _ -',
  );

sourceKinds.add(DataSource, { kind: 'data' });

/** A reward model's run or folder, or `gold:DATA`: a sentiment classifier trained on labelled text. */
export const ScorerSource = z.string().min(1);
sourceKinds.add(ScorerSource, { kind: 'scorer' });

export const SamplingConfig = z.strictObject({
  temperature: z.number().min(0).max(10).default(0.7).describe('0 is greedy'),
  topK: z.int().min(0).default(0).describe('0 keeps every token'),
  topP: z.number().gt(0).max(1).default(1),
  maxNewTokens: z.int().min(1).default(53).describe("TRL's response_length"),
});
