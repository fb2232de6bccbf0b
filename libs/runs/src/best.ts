/** The best of the versions that a run published, by the metric that it names. */
import type { DataFor } from '@rlhf-streams/events';
import { type RunConfig, specOf } from './methods/index.js';
import type { RunView } from './runs.js';
import { type PublishedModel, publishedModel } from './versions.js';

export interface BestModel extends PublishedModel {
  /** The value of the metric. */
  readonly value: number;
}

/** The metric by which a run chooses its best version, where it names one. */
export const keepBestOf = (config: RunConfig | undefined) =>
  config && 'keepBest' in config ? config.keepBest : undefined;

/** Whether a metric is of the weights after a step. Any other is of those that the step starts from. */
export const isMeasuredAfter = (config: RunConfig, metric: string): boolean =>
  metric.startsWith('eval/') && !specOf(config).onPolicy;

/**
 * The published version with the best value of `keepBest.metric`, the first of equals; undefined where the run names
 * none, or has measured none that is published.
 * @param steps those that the run completed, in any order
 */
export function bestModel(
  { config, models }: Pick<RunView, 'config' | 'models'>,
  steps: Iterable<DataFor<'step.completed'>>,
): BestModel | undefined {
  const keepBest = keepBestOf(config);
  if (!config || !keepBest) return undefined;
  const { metric, goal } = keepBest;
  const published = new Map<number, PublishedModel>();
  const initial = models?.policy;
  if (initial) published.set(0, { version: 0, step: 0, model: initial });
  const values = new Map<number, number>();
  for (const data of steps) {
    const model = publishedModel({ type: 'step.completed', data });
    if (model) published.set(model.version, model);
    const value = data.metrics[metric];
    if (value !== undefined) values.set(data.step + (isMeasuredAfter(config, metric) ? 1 : 0), value);
  }
  let best: BestModel | undefined;
  for (const version of [...values.keys()].sort((a, b) => a - b)) {
    const model = published.get(version);
    const value = values.get(version)!;
    const isBetter = !best || (goal === 'min' ? value < best.value : value > best.value);
    if (model && isBetter) best = { ...model, value };
  }
  return best;
}
