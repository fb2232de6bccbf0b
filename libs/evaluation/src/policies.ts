/** What is reported of each policy of a run. */
import type { Estimate } from './statistics.js';
import { type WrittenEstimate, writeEstimates } from './written.js';

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
      cells: writeEstimates(
        policies.map(({ winRate }) => winRate),
        'percent',
      ),
    },
    numberColumn(
      'length',
      policies.map(({ length }) => length),
    ),
  ];
}

const numberColumn = (title: string, estimates: readonly Estimate[]): PolicyColumn => ({
  title,
  cells: writeEstimates(estimates, 'number'),
});
