/** What is reported of each policy of a run, and how its estimates are written. */
import type { Estimate } from './statistics.js';

/** One policy (SFT, PPO, DPO) judged on held-out prompts. */
export interface PolicySummary {
  readonly name: string;
  /** Gold reward of its completions: see `scoreGold`. */
  readonly gold: Estimate;
  /** Score of the learned reward model. */
  readonly score: Estimate;
  /** KL to the reference in nats per sequence: see `sequenceKl`. */
  readonly kl: Estimate;
  /** Win rate against the baseline, in [0, 1]; absent for the baseline itself. */
  readonly winRate?: Estimate;
  /** Completion length in tokens. */
  readonly length: Estimate;
  /** Gold reward of each completion, for the report's histogram. */
  readonly goldScores?: readonly number[];
}

/** An estimate as text: its value, and its interval ('' where there is none). */
interface WrittenEstimate {
  readonly value: string;
  readonly interval: string;
}

/** A column of the summary table, with one cell for each policy; undefined where nothing was measured. */
export interface PolicyColumn {
  readonly title: string;
  readonly cells: readonly (WrittenEstimate | undefined)[];
}

/** The columns of the summary table; numbers of one column share their number of decimals. */
export function policyColumns(policies: readonly PolicySummary[]): PolicyColumn[] {
  const baseline = policies.find(({ winRate }) => winRate === undefined)?.name ?? 'baseline';
  return [
    numberColumn(
      'gold reward',
      policies.map(({ gold }) => gold),
    ),
    numberColumn(
      'reward score',
      policies.map(({ score }) => score),
    ),
    numberColumn(
      'KL to reference',
      policies.map(({ kl }) => kl),
    ),
    {
      title: `win rate vs ${baseline}`,
      cells: policies.map(({ winRate }) => winRate && writePercent(winRate)),
    },
    numberColumn(
      'length',
      policies.map(({ length }) => length),
    ),
  ];
}

function numberColumn(title: string, estimates: readonly Estimate[]): PolicyColumn {
  const largest = Math.max(...estimates.map(({ mean }) => Math.abs(mean)).filter(Number.isFinite), 0);
  const decimals = largest >= 100 ? 0 : largest >= 10 ? 1 : largest >= 0.1 ? 2 : 3;
  return { title, cells: estimates.map((estimate) => writeEstimate(estimate, decimals)) };
}

function writeEstimate({ mean, low, high }: Estimate, decimals: number): WrittenEstimate {
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
