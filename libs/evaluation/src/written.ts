/** Estimates as people read them. */
import type { Estimate } from './statistics.js';

/** An estimate as text: its value, and its interval ('' where there is none). */
export interface WrittenEstimate {
  readonly value: string;
  readonly interval: string;
}

/** Estimates that stand beside each other: numbers share their number of decimals, shares are written in percent. */
export function writeEstimates(
  estimates: readonly (Estimate | undefined)[],
  as: 'number' | 'percent',
): (WrittenEstimate | undefined)[] {
  if (as === 'percent') return estimates.map((estimate) => estimate && writePercent(estimate));
  const means = estimates.flatMap((estimate) => (estimate ? [Math.abs(estimate.mean)] : []));
  const largest = Math.max(...means.filter(Number.isFinite), 0);
  const decimals = largest >= 100 ? 0 : largest >= 10 ? 1 : largest >= 0.1 ? 2 : 3;
  return estimates.map((estimate) => estimate && writeNumber(estimate, decimals));
}

function writeNumber({ mean, low, high }: Estimate, decimals: number): WrittenEstimate {
  const value = fixed(mean, decimals);
  if (![mean, low, high].every(Number.isFinite)) return { value, interval: '' };
  const half = (high - low) / 2;
  const symmetric = Math.abs(high + low - 2 * mean) <= 0.02 * half;
  return {
    value,
    interval: symmetric
      ? `± ${fixed(half, decimals)}`
      : `[${fixed(low, decimals)}, ${fixed(high, decimals)}]`,
  };
}

function writePercent({ mean, low, high }: Estimate): WrittenEstimate {
  const percent = (share: number) => fixed(100 * share, 0);
  const known = [mean, low, high].every(Number.isFinite);
  return { value: `${percent(mean)} %`, interval: known ? `[${percent(low)}, ${percent(high)}]` : '' };
}

function fixed(value: number, decimals: number): string {
  if (!Number.isFinite(value)) return 'n/a';
  if (Math.abs(value) >= 1e6) return value.toExponential(2);
  const text = value.toFixed(decimals);
  return Number(text) === 0 ? text.replace('-', '') : text;
}
