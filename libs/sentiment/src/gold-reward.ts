/** The gold reward of controlled sentiment: an inspectable classifier that no policy is trained on. */
import type { LabelledRow } from '@rlhf-streams/data';
import { EvaluationError } from '@rlhf-streams/evaluation';
import { z } from 'zod';
import { fitLogistic } from './logistic-regression.js';

const GoldReward = z.object({
  kind: z.literal('bag-of-words-logistic'),
  version: z.literal(1),
  bias: z.number(),
  /** The weight of each word, from the most positive to the most negative; whole numbers come first, as JavaScript orders keys. */
  weights: z.record(z.string(), z.number()),
  l2: z.number(),
  /** Number of texts it was trained on. */
  trainedOn: z.number(),
});

/** A trained gold reward as plain JSON: one weight a word. */
export type GoldReward = Readonly<z.infer<typeof GoldReward>>;

/** The settings that the tests vary; every gold reward on a log was trained with the defaults. */
interface GoldRewardOptions {
  /** Strength of the L2 penalty on the mean log-loss. Default 1e-5. */
  readonly l2?: number;
  /** A word in fewer training texts than this gets no weight of its own. Default 2. */
  readonly minTexts?: number;
}

/**
 * Trains the gold reward: L2-regularised logistic regression on L2-normalised word counts. Deterministic: the same
 * rows in the same order give the same weights.
 *
 * @throws EvaluationError EVALUATION_EMPTY, EVALUATION_BAD_LABEL, EVALUATION_ONE_CLASS
 * @example scoreGold(trainGoldReward(bundledCorpus()), 'A warm and funny film.') // above 0: positive
 */
export function trainGoldReward(
  rows: readonly LabelledRow[],
  { l2 = 1e-5, minTexts = 2 }: GoldRewardOptions = {},
): GoldReward {
  requireBothLabels(rows);
  const texts = rows.map(({ text }) => wordCounts(text));
  const textsWithWord = new Map<string, number>();
  for (const words of texts) {
    for (const { word } of words) textsWithWord.set(word, (textsWithWord.get(word) ?? 0) + 1);
  }
  const vocabulary = [...textsWithWord].filter(([, count]) => count >= minTexts).map(([word]) => word);
  const columnOf = new Map(vocabulary.map((word, column) => [word, column]));

  const sparse = texts.map((words) => words.filter(({ word }) => columnOf.has(word)));
  const offsets = new Uint32Array(rows.length + 1);
  sparse.forEach((words, i) => {
    offsets[i + 1] = offsets[i]! + words.length;
  });
  const flat = sparse.flat();
  const { bias, weights } = fitLogistic(
    {
      offsets,
      columns: Uint32Array.from(flat, ({ word }) => columnOf.get(word)!),
      values: Float64Array.from(flat, ({ value }) => value),
    },
    Uint8Array.from(rows, ({ label }) => label),
    vocabulary.length,
    { l2, maxIterations: 1000, tolerance: 1e-8 },
  );

  const ranked = vocabulary
    .map((word, column): [string, number] => [word, rounded(weights[column]!)])
    .sort(([wordA, a], [wordB, b]) => b - a || (wordA < wordB ? -1 : 1));
  return {
    kind: 'bag-of-words-logistic',
    version: 1,
    bias: rounded(bias),
    weights: Object.fromEntries(ranked),
    l2,
    trainedOn: rows.length,
  };
}

/**
 * Log-odds that a text is positive: bias + sum of weight * count / norm; above 0 is positive. The features have norm
 * 1, so the score lies within bias +- |weights| at any length and repeating a text does not change it; film reviews
 * fall between about -5 and 5. A text without known words scores the bias.
 */
export function scoreGold(model: GoldReward, text: string): number {
  let score = model.bias;
  for (const { word, value } of wordCounts(text)) {
    if (Object.hasOwn(model.weights, word)) score += model.weights[word]! * value;
  }
  return score;
}

/**
 * Reads a gold reward back from the text of its JSON file.
 *
 * @throws EvaluationError EVALUATION_BAD_GOLD_REWARD, naming the field that is wrong
 */
export function parseGoldReward(json: string): GoldReward {
  const { success, data, error } = GoldReward.safeParse(parseJson(json));
  if (success) return data;
  const { path, message } = error.issues[0]!;
  throw bad(`${['gold reward', ...path].join('.')}: ${message}`, error);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw bad('it is not valid JSON', cause);
  }
}

function bad(problem: string, cause: unknown): EvaluationError {
  return new EvaluationError(
    'EVALUATION_BAD_GOLD_REWARD',
    `expected the JSON of a gold reward, but ${problem}; train the gold reward again with trainGoldReward`,
    { cause },
  );
}

function requireBothLabels(rows: readonly LabelledRow[]): void {
  if (rows.length === 0) {
    throw new EvaluationError('EVALUATION_EMPTY', 'Expected at least one labelled text, got none.');
  }
  rows.forEach(({ text, label }, i) => {
    if (typeof text !== 'string' || (label !== 0 && label !== 1)) {
      throw new EvaluationError(
        'EVALUATION_BAD_LABEL',
        `Row ${i} must be { text: string, label: 0 | 1 }, got text of type ${typeof text} and label ${JSON.stringify(label)}.`,
      );
    }
  });
  const [{ label: first }] = rows as [LabelledRow];
  if (rows.every(({ label }) => label === first)) {
    throw new EvaluationError(
      'EVALUATION_ONE_CLASS',
      `All ${rows.length} texts have label ${first}: a classifier needs both labels.`,
    );
  }
}

/** Six decimals: far below what moves a score, and a file that people can read. */
function rounded(weight: number): number {
  return Math.round(weight * 1e6) / 1e6;
}

/** A word of a text and its normalised count: count / sqrt(sum of squared counts). */
interface WordCount {
  readonly word: string;
  readonly value: number;
}

const WORD = /[\p{L}\p{N}]+(?:['’-][\p{L}\p{N}]+)*/gu;

/**
 * The words of a text in order of first appearance: lower-cased runs of letters and digits, joined across an inner
 * apostrophe or hyphen. The values' squares sum to 1, so that a long text weighs no more than a short one.
 */
function wordCounts(text: string): WordCount[] {
  const counts = new Map<string, number>();
  for (const word of text.toLowerCase().match(WORD) ?? []) counts.set(word, (counts.get(word) ?? 0) + 1);
  let squares = 0;
  for (const count of counts.values()) squares += count * count;
  const norm = Math.sqrt(squares);
  return Array.from(counts, ([word, count]) => ({ word, value: count / norm }));
}
