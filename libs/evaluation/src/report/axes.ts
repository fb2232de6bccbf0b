/** What the charts of a report have in common: colours, axes, legends. */
import type { Estimate } from '../statistics.js';
import { tick } from './text.js';

/** Room around a chart: for the labels and titles of its axes, and for a legend above it. */
export const POLICY_GRID = { left: 56, right: 20, top: 48, bottom: 46 };
export const PLOT_GRID = { left: 56, right: 16, top: 26, bottom: 40 };

/** The colour of the policy at `index`, on every chart and in every table; negative: what is no policy. */
export function seriesClass(index: number): string {
  return index < 0 ? 'series-none' : `series-${(index % 6) + 1}`;
}

export const colourOf = (index: number): string =>
  index < 0 ? 'var(--accent)' : `var(--${seriesClass(index)})`;

/** A value axis with its title: below the middle of a horizontal one, above a vertical one. */
export function axis(name: string, at: 'bottom' | 'top') {
  const vertical = at === 'top';
  return {
    type: 'value' as const,
    name,
    nameLocation: vertical ? ('end' as const) : ('middle' as const),
    nameGap: vertical ? 12 : 26,
    nameTextStyle: {
      color: 'var(--dim)',
      ...(vertical && { align: 'left' as const, padding: [0, 0, 0, 6 - PLOT_GRID.left] }),
    },
    axisLine: { show: !vertical, onZero: false, lineStyle: { color: 'var(--line)' } },
    axisTick: { show: !vertical, lineStyle: { color: 'var(--line)' } },
    axisLabel: { color: 'var(--dim)', formatter: tick, hideOverlap: true },
    splitLine: { show: vertical, lineStyle: { color: 'var(--grid)' } },
  };
}

export function legendOf(policies: readonly { readonly name: string; readonly index: number }[]) {
  return {
    top: 0,
    right: 0,
    icon: 'circle',
    itemWidth: 10,
    itemHeight: 10,
    textStyle: { color: 'var(--ink)' },
    data: policies.map(({ name, index }) => ({ name, itemStyle: { color: colourOf(index) } })),
  };
}

/** An axis begins at 0 for values that are 0 but for rounding, as a policy's KL to itself is. */
export function fromZero({ min, max }: { readonly min: number; readonly max: number }): number {
  // ECharts takes null, which its types leave out, for "as the values need".
  return min >= -0.005 * (max - min) ? 0 : (null as unknown as number);
}

export const isDrawable = (...values: readonly number[]): boolean => values.every(Number.isFinite);

export function ends({ mean, low, high }: Estimate): [number, number] {
  return [Number.isFinite(low) ? low : mean, Number.isFinite(high) ? high : mean];
}
