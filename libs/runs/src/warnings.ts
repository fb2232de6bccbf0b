/**
 * Metrics that warn: a run whose metric passes its threshold goes on, and says so once, as `run.warning`, until the metric
 * has come back and passes again. Whether a step warns follows from its metrics and those of the step before alone, so that
 * a run that was killed warns as any other.
 */
import type { DataFor } from '@rlhf-streams/events';
import type { RunConfig } from './methods/index.js';
import type { RunView } from './runs.js';

type Metrics = Readonly<Record<string, number>>;

interface WarningRule {
  readonly metric: string;
  readonly direction: 'above' | 'below';
  /** A number, or the setting that is one. */
  readonly threshold: number | 'klBudget';
  /** What it means, and what to do. */
  readonly sentence: string;
}

export const warningRules: readonly WarningRule[] = [
  {
    metric: 'objective/kl',
    direction: 'above',
    threshold: 'klBudget',
    sentence:
      'the policy is farther from the reference than its budget, in nats per response, where rewards cease to say what people prefer: raise klCoef, or take an earlier version',
  },
  {
    metric: 'objective/kl',
    direction: 'below',
    threshold: -1,
    sentence:
      'the estimate of the KL is negative, which the KL is not: rollouts may not be samples of the policy as it is, as with topK and topP',
  },
  {
    metric: 'frac_reward_zero_std',
    direction: 'above',
    threshold: 0.5,
    sentence:
      'of these prompts all samples have the same score, so that comparing them teaches nothing: take other prompts, more samples of each, or a scorer that tells them apart',
  },
  {
    metric: 'completions/clipped_ratio',
    direction: 'above',
    threshold: 0.5,
    sentence:
      'these completions were cut at their greatest length: raise sampling.maxNewTokens, or set missingEosPenalty',
  },
  {
    metric: 'rollout/length_score_correlation',
    direction: 'above',
    threshold: 0.7,
    sentence:
      'longer completions score more: the scorer may reward length itself; compare completions of equal length, or take a length rule with a negative weight',
  },
  {
    metric: 'rollout/failed_ratio',
    direction: 'above',
    threshold: 0.05,
    sentence:
      'these rollouts failed, or their scores or log-probs did, and the step was made without them: their events on the topics rollouts, rewards and reference-logprobs say why',
  },
  {
    metric: 'data/cut_ratio',
    direction: 'above',
    threshold: 0.05,
    sentence:
      'of the rows used, these were shortened to what the model takes: shorten the texts, or take a model with a longer context',
  },
];

type Warning = Pick<DataFor<'run.warning'>, 'metric' | 'direction' | 'value' | 'threshold' | 'message'>;

/**
 * What a step warns of.
 * @param before what the step before measured; undefined of the first step
 */
export function warningsOf(
  { config, data }: Pick<RunView, 'config' | 'data'>,
  metrics: Metrics,
  before: Metrics | undefined,
): Warning[] {
  // The rows are the same in every step: the first tells of them.
  const rows: Metrics = data && data.used > 0 ? { 'data/cut_ratio': data.cut / data.used } : {};
  return warningRules.flatMap(({ metric, direction, threshold: set, sentence }) => {
    const threshold = typeof set === 'number' ? set : settingOf(config, set);
    const passes = (all: Metrics) => {
      const value = all[metric];
      if (value === undefined || threshold === undefined) return false;
      return direction === 'above' ? value > threshold : value < threshold;
    };
    const measured = { ...rows, ...metrics };
    if (!passes(measured) || (before && passes({ ...rows, ...before }))) return [];
    return [{ metric, direction, value: measured[metric]!, threshold: threshold!, message: sentence }];
  });
}

const settingOf = (config: RunConfig | undefined, setting: 'klBudget'): number | undefined =>
  config && setting in config ? (config as { readonly [setting]?: number })[setting] : undefined;

/** What a warning says: the metric, its value, its threshold, and what that means. */
export const warningText = ({
  step,
  metric,
  direction,
  value,
  threshold,
  message,
}: Warning & Pick<DataFor<'run.warning'>, 'step'>): string =>
  `step ${step}: ${metric} is ${Number(value.toPrecision(3))}, ${direction} ${threshold}: ${message}`;
