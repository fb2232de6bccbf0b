import { EvaluationError } from '../errors.js';
import type { MetricSeries, StageReport } from './report-data.js';

/** One plot of a stage: a metric, or a group of metrics that share its axes. */
export interface Plot {
  /** Index of its stage. */
  readonly stage: number;
  readonly title: string;
  /** Title of the y axis: the unit that its series share, else the plot's own title. */
  readonly y: string;
  readonly series: readonly MetricSeries[];
}

/**
 * The plots of all stages: in each stage one for each metric, in order, a group standing where its first metric does.
 *
 * @throws EvaluationError EVALUATION_BAD_REPORT for a group that names no metric of its stage, steps that do not
 *   ascend, or unequal numbers of steps and values
 */
export function plotsOf(stages: readonly StageReport[]): Plot[] {
  return stages.flatMap((stage, index) => {
    for (const series of stage.series) requireSeries(stage, series);
    const groups = (stage.groups ?? []).map((group) => ({
      stage: index,
      title: group.title,
      series: group.series.map((name) => findSeries(stage, group.title, name)),
    }));
    const plots = stage.series.map(
      (series) =>
        groups.find((group) => group.series.includes(series)) ?? {
          stage: index,
          title: series.name,
          series: [series],
        },
    );
    return [...new Set(plots)].map((plot) => ({ ...plot, y: unitOf(plot.series) ?? plot.title }));
  });
}

function unitOf([first, ...others]: readonly MetricSeries[]): string | undefined {
  return others.every(({ unit }) => unit === first?.unit) ? first?.unit : undefined;
}

function findSeries(stage: StageReport, group: string, name: string): MetricSeries {
  const series = stage.series.find((candidate) => candidate.name === name);
  if (series) return series;
  const known = stage.series.map((candidate) => candidate.name).join(', ') || 'none';
  throw new EvaluationError(
    'EVALUATION_BAD_REPORT',
    `Group "${group}" of stage "${stage.name}" names the metric "${name}"; the stage has: ${known}.`,
  );
}

function requireSeries(stage: StageReport, { name, steps, values }: MetricSeries): void {
  if (steps.length !== values.length) {
    throw new EvaluationError(
      'EVALUATION_BAD_REPORT',
      `Metric "${name}" of stage "${stage.name}" has ${steps.length} steps and ${values.length} values; give null for a step without a value.`,
    );
  }
  const unordered = steps.findIndex((step, i) => !Number.isFinite(step) || (i > 0 && step <= steps[i - 1]!));
  if (unordered >= 0) {
    throw new EvaluationError(
      'EVALUATION_BAD_REPORT',
      `Steps of metric "${name}" of stage "${stage.name}" must ascend, got ${steps[unordered]} at index ${unordered}.`,
    );
  }
}
