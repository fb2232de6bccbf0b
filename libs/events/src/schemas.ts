import { z } from 'zod';

/** Run names become folders and parts of ids: lower-case letters, digits, `-`, `_` and `.`. */
export const RunId = z
  .string()
  .regex(
    /^[a-z0-9][a-z0-9._-]{0,99}$/,
    'a run id is 1-100 characters of a-z 0-9 . _ -, beginning with a letter or digit',
  );

/** Runs that were asked for together are an experiment; what it is called is written as a run id is. */
export const ExperimentName = z
  .string()
  .regex(
    /^[a-z0-9][a-z0-9._-]{0,99}$/,
    'an experiment is called by 1-100 characters of a-z 0-9 . _ -, beginning with a letter or digit',
  );

/** What people find runs by. */
export const Tags = z
  .record(
    z
      .string()
      .regex(
        /^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/,
        'a tag is named by 1-100 characters of A-Z a-z 0-9 . _ -, beginning with a letter or digit',
      ),
    z.string().max(200),
  )
  .describe('text by name');
export type Tags = z.output<typeof Tags>;

export const Step = z.int().min(0).describe('training step, from 0');
export const PolicyVersion = z
  .int()
  .min(0)
  .describe('version s is the policy that step s starts from; 0 is the initial one');
export const Tokens = z.array(z.int().min(0)).describe('token ids');
/** Tokens that a loss counts, as stretches: the assistant's turns of a conversation. */
export const Learned = z
  .array(z.object({ from: z.int().min(0), count: z.int().min(1) }))
  .min(1)
  .describe('the stretches of the tokens that are learned, in their order; default: all tokens');
export const Logprobs = z
  .array(z.number().max(1e-6))
  .describe('natural log-probabilities, one a token, float32 precision');

/** Text that a tokenizer takes and JSON gives back: lone surrogates have no UTF-8. */
export const Text = z.string().refine((text) => !/\p{Surrogate}/u.test(text), 'expected well-formed text');

/** Names what people publish together, to be trained on together. */
export const CollectionName = z
  .string()
  .regex(
    /^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/,
    'a collection is 1-100 characters of A-Z a-z 0-9 . _ -, beginning with a letter or digit',
  );

export const SCORER_NAME_IN_WORDS = '1-100 characters of A-Z a-z 0-9 . _ -, beginning with a letter or digit';
/** What the scores of a scorer go by, and what a declared scorer is called. */
export const ScorerName = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/, `a scorer's name is ${SCORER_NAME_IN_WORDS}`);

export const Sha256 = z.string().regex(/^[0-9a-f]{64}$/, 'expected 64 hexadecimal digits');

/** A content-addressed artifact: `uri` says where, `sha256` what. */
export const ArtifactRef = z.object({
  uri: z.string().min(1),
  sha256: Sha256,
});
export type ArtifactRef = z.output<typeof ArtifactRef>;

/** A model: its weights, or those of another model with an adapter of low rank trained on top of them. */
export const ModelRef = z.object({
  base: ArtifactRef.describe('a whole model'),
  adapter: ArtifactRef.optional().describe('what was trained on top of it'),
});
export type ModelRef = z.output<typeof ModelRef>;

/** All artifacts that a model consists of. */
export const artifactsOf = ({ base, adapter }: ModelRef): ArtifactRef[] =>
  adapter ? [base, adapter] : [base];

/** Equal for equal models, whatever stores they are read from. */
export const modelKey = (model: ModelRef): string =>
  artifactsOf(model)
    .map(({ sha256 }) => sha256)
    .join('+');

/** Metadata of whoever wrote a prompt or a comparison: it travels along, and nothing here reads it. */
export const Metadata = z.record(z.string(), z.unknown());

/** A turn of a conversation, in the terms of chat templates; other fields, such as `tool_calls`, go along for the template. */
export const Message = z.looseObject({
  role: z.string().min(1).describe('system, user, assistant, or what the template of the model knows'),
  content: z.string(),
});
export type Message = z.output<typeof Message>;

/** Functions that an assistant may call, as JSON schemas in the form of OpenAI's API. */
export const Tools = z.array(z.record(z.string(), z.unknown())).min(1);
export type Tools = z.output<typeof Tools>;

export const Cause = z.object({
  code: z.string().min(1).describe('stable, machine-readable'),
  message: z.string(),
});
export type Cause = z.output<typeof Cause>;

/** A completion that is judged as if a policy had sampled it. */
export const GivenCompletion = z
  .object({ text: z.string(), tokens: Tokens.min(1) })
  .describe('taken in place of a sample, with the log-probs that the policy gives to its tokens');

export const Sampling = z.object({
  temperature: z.number().min(0).describe('0 is greedy'),
  topK: z.int().min(0).describe('0 keeps every token'),
  topP: z.number().gt(0).max(1),
  maxNewTokens: z.int().min(1),
  stopTokens: Tokens.describe('generation ends after one of these'),
});
export type Sampling = z.output<typeof Sampling>;

export const Split = z.enum(['train', 'test']).describe('test items are evaluated, never trained on');

/** What became of the rows that a run's data hold: `read` is `used` and all that were dropped. */
export const DataAccount = z.object({
  read: z.int().min(0).describe('rows read'),
  used: z.int().min(0).describe('rows trained on, sampled from or held out, those cut among them'),
  cut: z.int().min(0).describe('rows used that were shortened to what the model takes'),
  dropped: z.record(z.string(), z.int().min(1)).describe('rows left out, by the reason'),
  noted: z
    .record(z.string(), z.int().min(1))
    .optional()
    .describe('rows used of which something is to be known, by what it is: how they were read, say'),
});
export type DataAccount = z.output<typeof DataAccount>;

/** The same of a run's further datasets, by name. */
export const DataAccounts = z.record(z.string(), DataAccount);
export type DataAccounts = z.output<typeof DataAccounts>;

/** A model, scorer or reference that a run was started with, as it was found. */
export const ModelRecord = z.object({
  source: z.string().describe('as the configuration names it'),
  version: z.int().min(0).optional().describe('of a model of a run: which of its versions it is'),
  kind: z.enum(['language model', 'reward model', 'gold reward']),
  parameters: z.int().min(1).optional().describe('numbers it learned; of a gold reward nothing'),
  contextLength: z.int().min(1).optional().describe('tokens'),
  vocabSize: z.int().min(1).optional(),
});
export type ModelRecord = z.output<typeof ModelRecord>;

/** What a process was built from and computes with, as far as it decides bits. */
export const Build = z.object({
  version: z.string().min(1).describe('of the packages'),
  code: z
    .string()
    .optional()
    .describe('hash of the sources of all packages; of a published package, its version says it all'),
  revision: z.string().optional().describe('of the repository, in images that were built with REVISION'),
  onnxruntime: z.string().optional().describe('version of ONNX Runtime, of a process that trains'),
  platform: z.string().min(1).describe('operating system and architecture'),
});
export type Build = z.output<typeof Build>;

/** Everything a step's item carries to be attributed without a lookup. */
export const StepStamp = z.object({ run: RunId, step: Step });

/** Next offsets to read, by topic and then partition. */
export const LogPositions = z.record(z.string(), z.array(z.int().min(0)));

/** The role of a stream in a step. A stream draws its items from one split of one dataset of the run. */
export const StreamName = z
  .enum(['train', 'evaluation', 'pretraining', 'demonstrations'])
  .describe(
    'train items are what a step learns from or, in a sampling run, samples; evaluation items are held out, and measured; pretraining items are texts that are learned beside; demonstrations are texts that scores are set by',
  );
export type StreamName = z.output<typeof StreamName>;

const DatasetName = z.string().min(1);

const stream = {
  stream: StreamName,
  kind: z.enum(['demonstrations', 'comparisons', 'thumbs', 'prompts']).describe('the topic of the items'),
  dataset: DatasetName.optional().describe(
    'which of the further datasets of the run has the items; default: its main data',
  ),
  split: Split,
};

/** A stream that the steps of a run draw from, as `run.started` lists it. */
export const RunStream = z.object({
  ...stream,
  items: z.int().min(0).describe('that the run has to draw from'),
});
export type RunStream = z.output<typeof RunStream>;

/** A stream in one step, with the items drawn from it, as `step.issued` lists it. */
export const StepStream = z.object({
  ...stream,
  rows: z
    .union([
      z.array(z.int().min(0)),
      z
        .object({ from: z.int().min(0), count: z.int().min(0) })
        .describe('`count` indices in a row, the first of them `from`'),
    ])
    .describe("indices of the items among the dataset's items of the split, from 0"),
  samples: z.int().min(1).optional().describe('rollouts of each prompt'),
  minPolicyVersion: PolicyVersion.optional().describe('the oldest version that may answer the prompts'),
});
export type StepStream = z.output<typeof StepStream>;
