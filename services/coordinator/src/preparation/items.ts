/** Datasets as items of a run: tokenised for its model, cut to its lengths, split into training and test. */
import { type Dataset, promptOf, splitTrainTest, textOf } from '@rlhf-streams/data';
import { MAX_RECORD_BYTES } from '@rlhf-streams/log';
import { type ModelConfig, promptTokens, type Tokenizer } from '@rlhf-streams/model';
import type { ComparisonItem, DemonstrationItem, PromptItem, RunConfig } from '@rlhf-streams/training/config';
import { CoordinatorError } from '../errors.js';
import type { Feedback } from './feedback.js';

export type RunItem = DemonstrationItem | PromptItem | ComparisonItem;
type Unsplit<T> = Omit<T, 'split'>;

/** Held out alike by every run over the same data with the same fraction. */
const SPLIT_SEED = 0;

interface Encoder {
  readonly contextLength: number;
  /** What a text begins with, which the tokenizer says; it may be nothing. */
  readonly begin: readonly number[];
  encode(text: string): number[];
  /** A prompt to sample from: at least one token. */
  prompt(text: string): number[];
  /** What a completion ends with. */
  readonly end: number;
}

export const encoderOf = (tokenizer: Tokenizer, config: ModelConfig): Encoder => ({
  contextLength: config.contextLength,
  begin: tokenizer.begin,
  encode: (text) => tokenizer.encode(text),
  prompt: (text) => promptTokens(tokenizer, config, text),
  end: tokenizer.eosId,
});

/** What a run's method makes of a dataset. */
export function itemsOf(config: RunConfig, dataset: Dataset, encoder: Encoder): RunItem[] {
  switch (config.method) {
    case 'sft':
      return split(
        demonstrations(dataset, encoder, config.sft.maxLength),
        config.testFraction,
        config.maxTestItems,
      );
    case 'reward':
      return split(
        comparisons(rankings(dataset), encoder, config.reward.maxLength),
        config.testFraction,
        config.maxTestItems,
      );
    case 'dpo':
      return split(
        comparisons(rankings(dataset), encoder, config.dpo.maxLength),
        config.testFraction,
        config.maxTestItems,
      );
    case 'ppo':
    case 'sample':
      return split(
        prompts(dataset, encoder, config.promptWords),
        config.testFraction,
        Number.POSITIVE_INFINITY,
      );
  }
}

/** Comparisons another run recorded, which are tokenised already. */
export function recordedItems(
  config: RunConfig,
  recorded: readonly Unsplit<ComparisonItem>[],
  encoder: Pick<Encoder, 'contextLength'>,
): RunItem[] {
  const { testFraction, maxTestItems, maxLength } = comparing(
    config,
    'run:ID, which is recorded comparisons',
  );
  const limit = Math.min(encoder.contextLength, maxLength);
  const fitting = recorded.filter((comparison) => fits(comparison, limit));
  return split(fitting, testFraction, maxTestItems);
}

/** Preferences that anybody published, whose ids go with them. */
export function feedbackItems(config: RunConfig, feedback: readonly Feedback[], encoder: Encoder): RunItem[] {
  const { testFraction, maxTestItems, maxLength } = comparing(
    config,
    'feedback:COLLECTION, which is comparisons',
  );
  const ranked = feedback.map(({ feedback, prompt, completions, ranks, margin, labeler }) => ({
    prompt,
    completions: completions.map((text) => ({ text })),
    ranks,
    margin,
    labeler,
    metadata: { feedback },
  }));
  return split(comparisons(ranked, encoder, maxLength), testFraction, maxTestItems);
}

/** What a run that compares takes of its data. @throws CoordinatorError RUN_SOURCE_UNFIT for other methods. */
function comparing(config: RunConfig, source: string) {
  if (config.method === 'dpo') return { ...config, maxLength: config.dpo.maxLength };
  if (config.method === 'reward') return { ...config, maxLength: config.reward.maxLength };
  throw new CoordinatorError(
    'RUN_SOURCE_UNFIT',
    `expected a ${config.method} run to name data other than ${source}`,
  );
}

/** A log-prob of single precision as JSON, with its comma. */
const LOGPROB_BYTES = 22;
/** What records hold beside a comparison, or its log-probs. */
const OVERHEAD_BYTES = 10_000;

/** Whether the model takes a comparison, and the log what is said of it. */
function fits(comparison: Unsplit<ComparisonItem>, limit: number): boolean {
  const { promptTokens, completions } = comparison;
  if (completions.some(({ tokens }) => promptTokens.length + tokens.length > limit)) return false;
  const logprobs = completions.reduce((sum, { tokens }) => sum + tokens.length, 0) * LOGPROB_BYTES;
  const bytes = Buffer.byteLength(JSON.stringify(comparison));
  return Math.max(bytes, logprobs) + OVERHEAD_BYTES <= MAX_RECORD_BYTES;
}

function split<T extends object>(items: readonly T[], testFraction: number, maxTestItems: number) {
  if (items.length === 0) {
    throw new CoordinatorError(
      'RUN_DATA_EMPTY',
      'expected at least one item that fits the model, got none: are the texts longer than its context?',
    );
  }
  const { train, test } = splitTrainTest(items, { testFraction, seed: SPLIT_SEED });
  if (train.length === 0) {
    throw new CoordinatorError(
      'RUN_DATA_EMPTY',
      'expected items to train on, but all are held out: lower testFraction',
    );
  }
  return [
    ...train.map((item) => ({ ...item, split: 'train' as const })),
    ...test.slice(0, maxTestItems).map((item) => ({ ...item, split: 'test' as const })),
  ];
}

function demonstrations(dataset: Dataset, { begin, encode, end, contextLength }: Encoder, maxLength: number) {
  const limit = Math.min(contextLength, maxLength);
  const cut = (promptTokens: readonly number[], tokens: readonly number[]) => ({
    promptTokens: [...promptTokens],
    tokens: tokens.slice(0, Math.max(0, limit - promptTokens.length)),
  });
  switch (dataset.kind) {
    case 'text':
    case 'labelled':
      return dataset.rows.map(({ text }) => cut(begin, [...encode(text), end]));
    case 'completion':
      return dataset.rows
        .map(({ prompt, completion }, row) => {
          const promptTokens = [...begin, ...encode(textOf(prompt, at(row, 'prompt')))];
          return cut(promptTokens, [...encode(textOf(completion, at(row, 'completion'))), end]);
        })
        .filter(({ tokens }) => tokens.length > 0);
    default:
      throw unfit(dataset, 'demonstrations', '{text}, {text, label} or {prompt, completion}');
  }
}

function prompts(dataset: Dataset, { prompt, contextLength }: Encoder, words: number): Unsplit<PromptItem>[] {
  return [...new Set(promptTexts(dataset, words))]
    .map((text) => ({ text, tokens: prompt(text) }))
    .filter(({ tokens }) => tokens.length < contextLength);
}

function promptTexts(dataset: Dataset, words: number): string[] {
  switch (dataset.kind) {
    case 'text':
    case 'labelled':
      return dataset.rows.flatMap(({ text }) => promptOf(text, words) ?? []);
    case 'prompt':
    case 'completion':
    case 'preference':
    case 'ranking':
      return dataset.rows.map(({ prompt }, row) => textOf(prompt, at(row, 'prompt')));
    default:
      throw unfit(dataset, 'prompts', '{prompt}, {text} or a preference dataset');
  }
}

/** Completions of a prompt as somebody ranked them; 1 is the best. */
interface RankedTexts {
  readonly prompt: string;
  readonly completions: readonly { readonly text: string; readonly score?: number }[];
  readonly ranks: readonly number[];
  readonly margin?: number | undefined;
  readonly labeler: string;
  readonly metadata?: Readonly<Record<string, unknown>>;
}

function comparisons(
  ranked: readonly RankedTexts[],
  { begin, encode, end, contextLength }: Encoder,
  maxLength: number,
): Unsplit<ComparisonItem>[] {
  const limit = Math.min(contextLength, maxLength);
  return ranked
    .map(({ prompt, completions, ranks, margin, labeler, metadata }) => ({
      promptText: prompt,
      promptTokens: [...begin, ...encode(prompt)],
      completions: completions.map(({ text, ...rest }) => ({
        text,
        tokens: [...encode(text), end],
        ...rest,
      })),
      ranks: [...ranks],
      ...(margin !== undefined && { margin }),
      labeler,
      ...(metadata && { metadata }),
    }))
    .filter((comparison) => fits(comparison, limit));
}

/** 1 is the best; equal rewards are ties. */
const ranksOf = (rewards: readonly number[]): number[] =>
  rewards.map((reward) => 1 + rewards.filter((other) => other > reward).length);

function rankings(dataset: Dataset): RankedTexts[] {
  const labeler = 'dataset';
  switch (dataset.kind) {
    case 'ranking':
      return dataset.rows.map(({ prompt, completions, ranks, rewards }, row) => ({
        prompt: textOf(prompt, at(row, 'prompt')),
        completions: completions.map((completion, i) => ({
          text: textOf(completion, at(row, `completions[${i}]`)),
          ...(rewards && { score: rewards[i]! }),
        })),
        ranks: ranks ?? ranksOf(rewards),
        labeler,
      }));
    case 'preference':
      return dataset.rows.map(({ prompt, chosen, rejected, margin }, row) => ({
        prompt: textOf(prompt, at(row, 'prompt')),
        completions: [
          { text: textOf(chosen, at(row, 'chosen')) },
          { text: textOf(rejected, at(row, 'rejected')) },
        ],
        ranks: [1, 2],
        margin,
        labeler,
      }));
    default:
      throw unfit(dataset, 'comparisons', '{prompt, chosen, rejected} or {prompt, completions, ranks}');
  }
}

const at = (row: number, column: string) => `row ${row + 1}, ${column}`;

const unfit = ({ kind }: Dataset, what: string, expected: string) =>
  new CoordinatorError(
    'RUN_SOURCE_UNFIT',
    `expected data to make ${what} of, that is rows of ${expected}; got ${kind} rows`,
  );
