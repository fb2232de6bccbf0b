/** How far judges, or people who label, agree, and how far beyond chance. */
import { EvaluationError } from './errors.js';
import { type Estimate, wilsonEstimate } from './statistics.js';

/** Agreement of two raters on the same items. */
export interface Agreement {
  /** Share of items on which they say the same, with Wilson's 95 % interval. */
  readonly share: Estimate;
  /** Cohen's kappa: 1 is agreement on everything, 0 what chance would give; NaN where both always say one and the same. */
  readonly kappa: number;
}

/**
 * Agreement of two raters who each give every item one category.
 *
 * Source: Cohen 1960, "A coefficient of agreement for nominal scales".
 *
 * @throws EvaluationError EVALUATION_EMPTY without any item
 * @example agreement([['a', 'a'], ['b', 'b'], ['a', 'b']]).kappa // 0.4
 */
export function agreement(items: readonly (readonly [string, string])[]): Agreement {
  const n = items.length;
  const same = items.filter(([one, other]) => one === other).length;
  const share = wilsonEstimate(same, n);
  const [ones, others] = [0, 1].map((rater) => countOf(items.map((item) => item[rater]!)));
  let chance = 0;
  for (const [category, count] of ones!) chance += (count / n) * ((others!.get(category) ?? 0) / n);
  return { share, kappa: (share.mean - chance) / (1 - chance) };
}

/**
 * Fleiss' kappa of several raters, each item rated by as many, not necessarily the same ones.
 *
 * Source: Fleiss 1971, "Measuring nominal scale agreement among many raters".
 *
 * @param items the categories that each item was given
 * @throws EvaluationError EVALUATION_EMPTY without any item; EVALUATION_LENGTH_MISMATCH unless every item has the same
 *   number of ratings, two at least
 */
export function fleissKappa(items: readonly (readonly string[])[]): number {
  const [first] = items;
  if (!first) throw new EvaluationError('EVALUATION_EMPTY', 'Expected at least one item, got none.');
  const raters = first.length;
  const other = items.find(({ length }) => length !== raters || length < 2);
  if (other)
    throw new EvaluationError(
      'EVALUATION_LENGTH_MISMATCH',
      `Expected as many ratings of every item, two at least, got ${raters} and ${other.length}.`,
    );
  const counts = items.map(countOf);
  const total = countOf(items.flat());
  const agreed = counts.reduce((sum, count) => {
    const pairs = [...count.values()].reduce((pairs, k) => pairs + k * (k - 1), 0);
    return sum + pairs / (raters * (raters - 1));
  }, 0);
  const observed = agreed / items.length;
  const chance = [...total.values()].reduce((sum, k) => sum + (k / (items.length * raters)) ** 2, 0);
  return (observed - chance) / (1 - chance);
}

function countOf(categories: readonly string[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const category of categories) counts.set(category, (counts.get(category) ?? 0) + 1);
  return counts;
}
