/** The charts of a report, as ECharts' options. */
import type { PolicySummary } from '../policies.js';
import { axis, colourOf, ends, fromZero, isDrawable, legendOf, PLOT_GRID, POLICY_GRID } from './axes.js';
import type { Plot } from './plots.js';
import type { ChartOption, Series, Size } from './svg.js';

export const POLICY_CHART: Size = { width: 540, height: 360 };
export const PLOT: Size = { width: 360, height: 210 };

/** Where the lines of a plot lie, from the top of the chart. */
export const PLOT_AREA = { top: PLOT_GRID.top, bottom: PLOT.height - PLOT_GRID.bottom };

/** The most values of a line that are each marked by a point. */
const MOST_MARKED = 30;

/** Gold reward over KL to the reference with both intervals. */
export function policiesChart(policies: readonly PolicySummary[]): ChartOption {
  const drawn = policies
    .map((policy, index) => ({ ...policy, index }))
    .filter(({ kl, gold }) => isDrawable(kl.mean, gold.mean));
  const marks = drawn.flatMap(({ name, kl, gold, index }): Series[] => {
    const color = colourOf(index);
    const [left, right] = ends(kl);
    const [bottom, top] = ends(gold);
    const intervals = [[left, gold.mean], [right, gold.mean], null, [kl.mean, bottom], [kl.mean, top]];
    return [
      {
        type: 'line',
        name,
        data: intervals as Series['data'],
        symbol: 'none',
        lineStyle: { color, width: 1.5 },
      },
      {
        type: 'line',
        name,
        data: [[kl.mean, gold.mean]],
        symbol: 'circle',
        symbolSize: 11,
        itemStyle: { color },
      },
    ];
  });
  return {
    grid: POLICY_GRID,
    legend: legendOf(drawn),
    xAxis: { ...axis('KL to reference (nats per sequence)', 'bottom'), min: fromZero },
    yAxis: { ...axis('gold reward', 'top'), scale: true },
    series: marks,
  };
}

/**
 * Histogram of the gold reward of every policy that gives its scores, over one axis, with the means.
 * @returns undefined where no policy gives any
 */
export function goldHistogram(policies: readonly PolicySummary[]): ChartOption | undefined {
  const scored = policies
    .map(({ name, goldScores = [] }, index) => ({ name, index, scores: goldScores.filter(Number.isFinite) }))
    .filter(({ scores }) => scores.length > 0);
  if (scored.length === 0) return undefined;
  const all = scored.flatMap(({ scores }) => scores);
  let low = all.reduce((a, b) => Math.min(a, b));
  let high = all.reduce((a, b) => Math.max(a, b));
  if (low === high) [low, high] = [low - 0.5, high + 0.5];
  const bins = binsFor(scored.map(({ scores }) => scores.length));
  const width = (high - low) / bins;
  const series = scored.map(({ name, index, scores }): Series => {
    const counts = new Array<number>(bins).fill(0);
    for (const score of scores) counts[Math.min(bins - 1, Math.floor((score - low) / width))]! += 1;
    const mean = scores.reduce((sum, score) => sum + score, 0) / scores.length;
    const color = colourOf(index);
    return {
      type: 'line',
      name,
      step: 'end',
      // A step goes up where its bin begins: the outline starts and ends at 0.
      data: [[low, 0], ...counts.map((count, bin) => [low + bin * width, count]), [high, 0]],
      symbol: 'none',
      lineStyle: { color, width: 1.5 },
      areaStyle: { color, opacity: 0.18 },
      markLine: {
        symbol: 'none',
        data: [{ xAxis: mean }],
        label: { show: false },
        lineStyle: { color, width: 1.5, type: 'dashed' },
        silent: true,
      },
    };
  });
  return {
    grid: POLICY_GRID,
    legend: legendOf(scored),
    xAxis: { ...axis('gold reward', 'bottom'), scale: true },
    yAxis: { ...axis('completions', 'top'), minInterval: 1 },
    series,
  };
}

/** One plot of training: a metric, or several that share an axis, over the steps. */
export function trainingChart({ y, series }: Plot): ChartOption {
  const steps = series.flatMap((each) => each.steps);
  const first = steps.reduce((a, b) => Math.min(a, b), Number.POSITIVE_INFINITY);
  const last = steps.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
  return {
    grid: PLOT_GRID,
    xAxis: {
      ...axis('step', 'bottom'),
      minInterval: 1,
      ...(steps.length > 0 && { min: first, max: first === last ? first + 1 : last }),
    },
    yAxis: { ...axis(y, 'top'), scale: true, splitNumber: 4 },
    series: series.map(({ steps, values }, index): Series => {
      const data = steps.flatMap((step, i) => (values[i] === null ? [] : [[step, values[i]!]]));
      const color = index % 2 === 0 ? 'var(--accent)' : 'var(--dim)';
      return {
        type: 'line',
        data,
        showSymbol: data.length <= MOST_MARKED,
        symbol: 'circle',
        symbolSize: 4,
        itemStyle: { color },
        lineStyle: { color, width: 1.5, type: index < 2 ? 'solid' : [5, 3] },
      };
    }),
  };
}

/** About one and a half times the root of the number of values: bins that are neither noise nor a blur. */
const binsFor = (counts: readonly number[]): number =>
  Math.min(36, Math.max(8, Math.round(1.5 * Math.sqrt(Math.max(...counts)))));
