/** Intervals by resampling, which need no formula for the spread and take any statistic that is a mean. */
import { philox4x32 } from '@rlhf-streams/random';
import { EvaluationError } from './errors.js';
import { type Estimate, mean } from './statistics.js';

/** Bounds of a 95 % interval. */
export interface Interval {
  readonly low: number;
  readonly high: number;
}

export interface BootstrapOptions {
  /** The same values with the same seed give the same interval. */
  readonly seed: number;
  /** Resamples. Default 1000. */
  readonly resamples?: number;
}

/**
 * 95 % interval of a mean by the percentile bootstrap: the means of `resamples` draws of as many values, with replacement,
 * and their 2.5 and 97.5 percentiles. It falls short of 95 % for fewer than some 20 values, and one value has no width.
 *
 * Source: Efron and Tibshirani 1993, chapter 13.
 *
 * @throws EvaluationError EVALUATION_EMPTY, EVALUATION_NOT_FINITE
 */
export function bootstrapMean(
  values: ArrayLike<number>,
  { seed, resamples = 1000 }: BootstrapOptions,
): Interval {
  const n = values.length;
  if (n === 0) throw new EvaluationError('EVALUATION_EMPTY', 'Expected at least one value, got none.');
  mean(values);
  const draw = uniformDraws(seed);
  const means = new Float64Array(resamples);
  for (let resample = 0; resample < resamples; resample++) {
    let sum = 0;
    for (let i = 0; i < n; i++) sum += values[Math.floor(draw() * n)]!;
    means[resample] = sum / n;
  }
  means.sort();
  return { low: percentile(means, 0.025), high: percentile(means, 0.975) };
}

/**
 * Mean difference of two measurements of the same items, with the interval of the paired bootstrap: items are drawn, each
 * with both of its values, so that what makes an item hard for both cancels.
 *
 * @param pairs both values of each item; the difference is `a - b`
 * @throws EvaluationError EVALUATION_EMPTY, EVALUATION_NOT_FINITE
 */
export function pairedDifference(
  pairs: readonly { readonly a: number; readonly b: number }[],
  options: BootstrapOptions,
): Estimate {
  const differences = Float64Array.from(pairs, ({ a, b }) => a - b);
  return { mean: mean(differences), ...bootstrapMean(differences, options), n: pairs.length };
}

/** Linear interpolation between the two nearest of sorted values. */
function percentile(sorted: Float64Array, share: number): number {
  const place = share * (sorted.length - 1);
  const below = Math.floor(place);
  const above = Math.min(below + 1, sorted.length - 1);
  return sorted[below]! + (place - below) * (sorted[above]! - sorted[below]!);
}

/** Numbers in [0, 1) one after the other, a function of the seed alone. */
function uniformDraws(seed: number): () => number {
  const key = [seed % 2 ** 32, Math.floor(seed / 2 ** 32)] as const;
  let block: readonly number[] = [];
  let drawn = 0;
  return () => {
    const place = drawn++ % 4;
    if (place === 0) {
      const count = drawn / 4;
      block = philox4x32([Math.floor(count) % 2 ** 32, Math.floor(count / 2 ** 32), 0, 0], key);
    }
    return (block[place]! >>> 0) / 2 ** 32;
  };
}
