/** The gold reward of controlled sentiment: an inspectable classifier that no policy is trained on. */
import { wordCounts } from './bag-of-words.js';
import { EvaluationError } from './errors.js';
import { fitLogistic } from './logistic-regression.js';
import { type Estimate, wilsonEstimate } from './statistics.js';

/** A text and whether it is positive (1) or negative (0). */
export interface LabelledText {
  readonly text: string;
  readonly label: 0 | 1;
}

/**
 * A trained gold reward; plain JSON, one weight a word, from the most positive to the most negative
 * (words that are whole numbers come first, as JavaScript orders keys).
 */
export interface GoldReward {
  readonly kind: 'bag-of-words-logistic';
  readonly version: 1;
  readonly bias: number;
  readonly weights: Readonly<Record<string, number>>;
  readonly l2: number;
  readonly trainedOn: number;
  /** Share of held-out texts classified rightly, where held-out rows were given. */
  readonly accuracyOnHeldOut?: Estimate;
}

export interface GoldRewardOptions {
  /** Strength of the L2 penalty on the mean log-loss. Default 1e-5. */
  readonly l2?: number;
  /** Words in fewer training texts than this get no weight of their own. Default 2. */
  readonly minTexts?: number;
  /** Rows kept out of training, on which `accuracyOnHeldOut` is measured. */
  readonly heldOut?: readonly LabelledText[];
}

/** What each word of a text adds to its score; the score is `bias` plus all contributions. */
export interface GoldExplanation {
  readonly score: number;
  readonly bias: number;
  /** Words with a weight, the most influential first. */
  readonly words: readonly { word: string; count: number; weight: number; contribution: number }[];
}

/**
 * Trains the gold reward: L2-regularised logistic regression on L2-normalised word counts. Deterministic: the same
 * rows in the same order give the same weights.
 *
 * Errors: EVALUATION_EMPTY, EVALUATION_BAD_LABEL, EVALUATION_ONE_CLASS, EVALUATION_OUT_OF_RANGE (options).
 */
export function trainGoldReward(rows: readonly LabelledText[], options: GoldRewardOptions = {}): GoldReward {
  const { l2 = 1e-5, minTexts = 2, heldOut } = options;
  if (!(l2 > 0)) throw new EvaluationError('EVALUATION_OUT_OF_RANGE', `l2 must be positive, got ${l2}.`);
  if (!(minTexts >= 1)) {
    throw new EvaluationError('EVALUATION_OUT_OF_RANGE', `minTexts must be at least 1, got ${minTexts}.`);
  }
  requireLabels(rows);
  if (rows.every(({ label }) => label === rows[0]!.label)) {
    throw new EvaluationError(
      'EVALUATION_ONE_CLASS',
      `All ${rows.length} texts have label ${rows[0]!.label}: a classifier needs both labels.`,
    );
  }

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
  const model: GoldReward = {
    kind: 'bag-of-words-logistic',
    version: 1,
    bias: rounded(bias),
    weights: Object.fromEntries(ranked),
    l2,
    trainedOn: rows.length,
  };
  return heldOut ? { ...model, accuracyOnHeldOut: goldAccuracy(model, heldOut) } : model;
}

/**
 * Log-odds that a text is positive: bias + sum of weight * count / norm; above 0 is positive. The features have norm
 * 1, so the score lies within bias +- |weights| at any length and repeating a text does not change it; film reviews
 * fall between about -5 and 5. A text without known words scores the bias.
 */
export function scoreGold(model: GoldReward, text: string): number {
  let score = model.bias;
  for (const { word, value } of wordCounts(text)) score += weightOf(model, word) * value;
  return score;
}

/** Why a text scores as it does: `explain(model, text).words[0]` is what moved the score most. */
export function explain(model: GoldReward, text: string): GoldExplanation {
  const words = wordCounts(text)
    .map(({ word, count, value }) => {
      const weight = weightOf(model, word);
      return { word, count, weight, contribution: weight * value };
    })
    .filter(({ weight }) => weight !== 0)
    .sort((a, b) => Math.abs(b.contribution) - Math.abs(a.contribution));
  return { score: scoreGold(model, text), bias: model.bias, words };
}

/** Share of rows whose label the sign of the score gives, with Wilson's interval. */
export function goldAccuracy(model: GoldReward, rows: readonly LabelledText[]): Estimate {
  requireLabels(rows);
  const right = rows.filter(({ text, label }) => scoreGold(model, text) > 0 === (label === 1));
  return wilsonEstimate(right.length, rows.length);
}

function weightOf(model: GoldReward, word: string): number {
  return Object.hasOwn(model.weights, word) ? model.weights[word]! : 0;
}

function requireLabels(rows: readonly LabelledText[]): void {
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
}

/** Six decimals: far below what moves a score, and a file that people can read. */
function rounded(weight: number): number {
  return Math.round(weight * 1e6) / 1e6;
}
