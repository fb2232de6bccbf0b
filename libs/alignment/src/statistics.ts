/** Statistics over the response tokens of a batch: ragged rows, one array per rollout, no padding. */
import { AlignmentError } from './errors.js';

/** One array of numbers per rollout, response tokens only. */
export type Rows = readonly ArrayLike<number>[];

/** The mean over all tokens of all rows. @internal */
export function tokenMean(rows: Rows): number {
  const n = tokenCount(rows, 1);
  return reduce(rows, (sum, x) => sum + x) / n;
}

/** The unbiased variance (n - 1 in the denominator) over all tokens of all rows. */
export function tokenVariance(rows: Rows): number {
  const n = tokenCount(rows, 2);
  const mean = tokenMean(rows);
  return reduce(rows, (sum, x) => sum + (x - mean) ** 2) / (n - 1);
}

/**
 * (x - mean) / sqrt(var + 1e-8) over all tokens of all rows; with `shiftMean: false` the mean is added back,
 * as PPO does for rewards.
 *
 * @throws AlignmentError ALIGNMENT_TOO_FEW when the batch has fewer than two tokens
 */
export function whiten(rows: Rows, { shiftMean = true }: { shiftMean?: boolean } = {}): Float64Array[] {
  const mean = tokenMean(rows);
  const scale = 1 / Math.sqrt(tokenVariance(rows) + 1e-8);
  const centre = shiftMean ? 0 : mean;
  return rows.map((row) => Float64Array.from(row, (x) => (x - mean) * scale + centre));
}

/**
 * 1 - var(R - V) / var(R): the share of the returns' variance that the values explain, at most 1. When the
 * returns do not vary it is 1 if the values' error does not vary either, else 0.
 *
 * @throws AlignmentError ALIGNMENT_SHAPE when there is not one value per return; ALIGNMENT_TOO_FEW
 */
export function explainedVariance(values: Rows, returns: Rows): number {
  const residuals = returns.map((row, i) => {
    const predicted = values[i];
    if (predicted?.length !== row.length) {
      throw new AlignmentError(
        'ALIGNMENT_SHAPE',
        `expected ${row.length} values in row ${i}, one per return, got ${predicted?.length ?? 'none'}`,
      );
    }
    return Float64Array.from(row, (r, t) => r - predicted[t]!);
  });
  const unexplained = tokenVariance(residuals);
  const total = tokenVariance(returns);
  if (total === 0) return unexplained === 0 ? 1 : 0;
  return 1 - unexplained / total;
}

function tokenCount(rows: Rows, least: number): number {
  const n = rows.reduce((count, row) => count + row.length, 0);
  if (n < least) {
    throw new AlignmentError(
      'ALIGNMENT_TOO_FEW',
      `expected at least ${least} token(s) in the batch, got ${n}`,
    );
  }
  return n;
}

function reduce(rows: Rows, step: (sum: number, x: number) => number): number {
  let sum = 0;
  for (const row of rows) for (let t = 0; t < row.length; t++) sum = step(sum, row[t]!);
  return sum;
}
