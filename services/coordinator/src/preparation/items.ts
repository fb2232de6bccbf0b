/** Datasets as items of a run: tokenised for its model, cut to its lengths, split into training and test. */
import { type Dataset, promptOf, type Ranking, splitTrainTest, textOf } from '@rlhf-streams/data';
import type { ModelConfig, Tokenizer } from '@rlhf-streams/model';
import type { ComparisonItem, DemonstrationItem, PromptItem, RunConfig } from '@rlhf-streams/training/config';
import { CoordinatorError } from '../errors.js';

export type RunItem = DemonstrationItem | PromptItem | ComparisonItem;
type Unsplit<T> = Omit<T, 'split'>;

/** Held out alike by every run over the same data with the same fraction. */
const SPLIT_SEED = 0;

interface Encoder {
  readonly contextLength: number;
  /** A text begins with the end-of-text token, as in GPT-2. */
  readonly begin: readonly number[];
  encode(text: string): number[];
  readonly end: number;
}

export const encoderOf = (tokenizer: Tokenizer, { contextLength }: ModelConfig): Encoder => ({
  contextLength,
  begin: [tokenizer.eosId],
  encode: (text) => tokenizer.encode(text),
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
        comparisons(dataset, encoder, config.reward.maxLength),
        config.testFraction,
        config.maxTestItems,
      );
    case 'dpo':
      return split(
        comparisons(dataset, encoder, config.dpo.maxLength),
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
  if (config.method !== 'reward' && config.method !== 'dpo') {
    throw new CoordinatorError(
      'RUN_SOURCE_UNFIT',
      `expected a ${config.method} run to name data other than run:ID, which is recorded comparisons`,
    );
  }
  const { maxLength } = config.method === 'dpo' ? config.dpo : config.reward;
  const fitting = recorded.filter((comparison) =>
    fits(comparison, Math.min(encoder.contextLength, maxLength)),
  );
  return split(fitting, config.testFraction, config.maxTestItems);
}

const fits = (
  { promptTokens, completions }: Pick<ComparisonItem, 'promptTokens' | 'completions'>,
  limit: number,
): boolean => completions.every(({ tokens }) => promptTokens.length + tokens.length <= limit);

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

function prompts(
  dataset: Dataset,
  { begin, encode, contextLength }: Encoder,
  words: number,
): Unsplit<PromptItem>[] {
  return [...new Set(promptTexts(dataset, words))]
    .map((text) => ({ text, tokens: [...begin, ...encode(text)] }))
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

function comparisons(dataset: Dataset, encoder: Encoder, maxLength: number): Unsplit<ComparisonItem>[] {
  const { begin, encode, end, contextLength } = encoder;
  const limit = Math.min(contextLength, maxLength);
  return rankings(dataset).flatMap((ranking, row) => {
    const promptText = textOf(ranking.prompt, at(row, 'prompt'));
    const promptTokens = [...begin, ...encode(promptText)];
    const completions = ranking.completions.map((completion, i) => {
      const text = textOf(completion, at(row, `completions[${i}]`));
      const score = ranking.rewards?.[i];
      return { text, tokens: [...encode(text), end], ...(score !== undefined && { score }) };
    });
    if (!fits({ promptTokens, completions }, limit)) return [];
    const { margin } = ranking;
    const ranks = ranking.ranks ?? ranksOf(ranking.rewards);
    return [
      {
        promptText,
        promptTokens,
        completions,
        ranks,
        ...(margin !== undefined && { margin }),
        labeler: 'dataset',
      },
    ];
  });
}

/** 1 is the best; equal rewards are ties. */
const ranksOf = (rewards: readonly number[]): number[] =>
  rewards.map((reward) => 1 + rewards.filter((other) => other > reward).length);

function rankings(dataset: Dataset): (Ranking & { margin?: number | undefined })[] {
  if (dataset.kind === 'ranking') return dataset.rows;
  if (dataset.kind !== 'preference') {
    throw unfit(dataset, 'comparisons', '{prompt, chosen, rejected} or {prompt, completions, ranks}');
  }
  return dataset.rows.map(({ prompt, chosen, rejected, margin }) => ({
    prompt,
    completions: [chosen, rejected],
    ranks: [1, 2],
    margin,
  }));
}

const at = (row: number, column: string) => `row ${row + 1}, ${column}`;

const unfit = ({ kind }: Dataset, what: string, expected: string) =>
  new CoordinatorError(
    'RUN_SOURCE_UNFIT',
    `expected data to make ${what} of, that is rows of ${expected}; got ${kind} rows`,
  );
