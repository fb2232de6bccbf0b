/** The charts of a report's parts: points of several series over two axes, with bars. */
import { axis, colourOf, fromZero, isDrawable, POLICY_GRID } from './axes.js';
import type { Chart, ChartPoint } from './report-data.js';
import type { ChartOption, Series, Size } from './svg.js';

const WIDTH = 540;
const PLOT_HEIGHT = 290;
const LEGEND_ROW = 20;

/** Series differ by symbol as well as by colour, for those who tell few colours apart and for paper. */
const SYMBOLS = ['circle', 'rect', 'triangle', 'diamond', 'emptyCircle', 'emptyRect'];
const symbolOf = (index: number): string => SYMBOLS[Math.floor(index + index / 6) % SYMBOLS.length]!;

/** A chart as ECharts' options, and its size: the legend stands above it, in as many rows as it needs. */
export function partChart({ x, y, series }: Chart): { readonly option: ChartOption; readonly size: Size } {
  const rows = legendRows(series.map(({ name }) => name));
  const top = rows * LEGEND_ROW + 28;
  return {
    size: { width: WIDTH, height: PLOT_HEIGHT + top },
    option: {
      grid: { ...POLICY_GRID, top },
      legend: {
        top: 0,
        left: 0,
        itemWidth: 22,
        itemHeight: 9,
        itemGap: ITEM_GAP,
        textStyle: { color: 'var(--ink)' },
        data: series.map(({ name }) => name),
      },
      xAxis: { ...axis(x, 'bottom'), scale: true, min: fromNearZero },
      yAxis: { ...axis(y, 'top'), scale: true },
      series: series.flatMap(seriesOf),
    },
  };
}

/** The axis begins at 0 where values begin near it, as KL and steps do, and lengths do not. */
const fromNearZero = (values: { readonly min: number; readonly max: number }): number =>
  values.min < values.max / 3 ? fromZero(values) : (null as unknown as number);

const ITEM_GAP = 14;
const LETTER = 6.6;

/** Rows of the legend, as ECharts will wrap it. */
function legendRows(names: readonly string[]): number {
  let [rows, used] = [1, 0];
  for (const name of names) {
    const width = 22 + 5 + name.length * LETTER + ITEM_GAP;
    if (used > 0 && used + width > WIDTH - 10) [rows, used] = [rows + 1, 0];
    used += width;
  }
  return rows;
}

function seriesOf(
  { name, points, joined = 'line', behind = [] }: Chart['series'][number],
  index: number,
): Series[] {
  const color = colourOf(index);
  const symbol = symbolOf(index);
  const shown = points.filter(({ x, y }) => isDrawable(x, y));
  return [
    {
      type: 'line',
      data: behind.filter(({ x, y }) => isDrawable(x, y)).map(({ x, y }) => [x, y]),
      symbol,
      symbolSize: 5,
      itemStyle: { color, opacity: 0.35 },
      lineStyle: { width: 0 },
      silent: true,
    },
    {
      type: 'line',
      data: shown.flatMap(barsOf) as Series['data'],
      symbol: 'none',
      lineStyle: { color, width: 1.2, opacity: 0.6 },
      silent: true,
    },
    {
      type: 'line',
      name,
      data: shown.map(({ x, y }) => [x, y]),
      symbol,
      symbolSize: 8,
      itemStyle: { color },
      lineStyle: { color, width: joined === 'none' ? 0 : 1.6 },
      ...(joined === 'step' && { step: 'end' as const }),
    },
  ];
}

/** The bars of a point: lines through it. */
function barsOf({ x, y, xRange, yRange }: ChartPoint): unknown[] {
  const across = xRange?.every(Number.isFinite) ? [[xRange[0], y], [xRange[1], y], null] : [];
  const up = yRange?.every(Number.isFinite) ? [[x, yRange[0]], [x, yRange[1]], null] : [];
  return [...across, ...up];
}
