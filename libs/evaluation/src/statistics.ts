/** Means and proportions with 95 % confidence intervals, in float64. */
import { NORMAL_CRITICAL, studentCritical } from './critical-values.js';
import { EvaluationError } from './errors.js';

/**
 * A mean (or a proportion) with its 95 % confidence interval.
 * Where the data say nothing about the spread (one observation) the bounds are infinite.
 */
export interface Estimate {
  readonly mean: number;
  readonly low: number;
  readonly high: number;
  /** Number of observations. */
  readonly n: number;
}

/** Arithmetic mean. */
export function mean(values: ArrayLike<number>): number {
  requireFinite(values);
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i]!;
  return sum / values.length;
}

/** Standard deviation with the n - 1 denominator; NaN for a single value. */
export function sampleStd(values: ArrayLike<number>): number {
  const centre = mean(values);
  let squares = 0;
  for (let i = 0; i < values.length; i++) squares += (values[i]! - centre) ** 2;
  return Math.sqrt(squares / (values.length - 1));
}

/**
 * Pearson's correlation of two lists of as many numbers, in [-1, 1]; NaN where one of them does not vary.
 * @throws EvaluationError EVALUATION_LENGTH_MISMATCH, EVALUATION_EMPTY, EVALUATION_NOT_FINITE
 */
export function correlation(x: ArrayLike<number>, y: ArrayLike<number>): number {
  if (x.length !== y.length)
    throw new EvaluationError(
      'EVALUATION_LENGTH_MISMATCH',
      `Expected as many numbers of both, got ${x.length} and ${y.length}.`,
    );
  const [meanX, meanY] = [mean(x), mean(y)];
  let [xx, xy, yy] = [0, 0, 0];
  for (let i = 0; i < x.length; i++) {
    const [dx, dy] = [x[i]! - meanX, y[i]! - meanY];
    xx += dx * dx;
    xy += dx * dy;
    yy += dy * dy;
  }
  return Math.max(-1, Math.min(1, xy / Math.sqrt(xx * yy)));
}

/** Mean with its interval by Student's distribution, n - 1 degrees of freedom: mean +- t s / sqrt(n). */
export function meanEstimate(values: ArrayLike<number>): Estimate {
  const n = values.length;
  return around(mean(values), sampleStd(values) / Math.sqrt(n), n - 1, n);
}

/**
 * Proportion with Wilson's score interval, which stays inside [0, 1] and is sensible at 0 and n successes.
 * `successes` may be fractional (a tie counted half): the interval is then a little wider than needed.
 * Source: Wilson 1927.
 */
export function wilsonEstimate(successes: number, n: number): Estimate {
  if (!(Number.isInteger(n) && n > 0)) {
    throw new EvaluationError('EVALUATION_EMPTY', `A proportion needs n >= 1 trials, got n = ${n}.`);
  }
  if (!(successes >= 0 && successes <= n)) {
    throw new EvaluationError(
      'EVALUATION_OUT_OF_RANGE',
      `Expected between 0 and ${n} successes, got ${successes}.`,
    );
  }
  const z2 = NORMAL_CRITICAL ** 2;
  const p = successes / n;
  const centre = (p + z2 / (2 * n)) / (1 + z2 / n);
  const half = (NORMAL_CRITICAL / (1 + z2 / n)) * Math.sqrt((p * (1 - p)) / n + z2 / (4 * n * n));
  return { mean: p, low: successes === 0 ? 0 : centre - half, high: successes === n ? 1 : centre + half, n };
}

function around(centre: number, standardError: number, df: number, n: number): Estimate {
  if (standardError === 0) return { mean: centre, low: centre, high: centre, n };
  const half = Number.isNaN(standardError) ? Number.POSITIVE_INFINITY : studentCritical(df) * standardError;
  return { mean: centre, low: centre - half, high: centre + half, n };
}

function requireFinite(values: ArrayLike<number>): void {
  if (values.length === 0) {
    throw new EvaluationError('EVALUATION_EMPTY', 'Expected at least one value, got none.');
  }
  for (let i = 0; i < values.length; i++) {
    if (!Number.isFinite(values[i])) {
      throw new EvaluationError(
        'EVALUATION_NOT_FINITE',
        `Expected finite numbers, got ${values[i]} at index ${i}: drop failed items before averaging.`,
      );
    }
  }
}
