/** Charts as SVG text, drawn by Apache ECharts without a browser. */
import { LineChart, type LineSeriesOption } from 'echarts/charts';
import {
  GridComponent,
  type GridComponentOption,
  LegendComponent,
  type LegendComponentOption,
  MarkLineComponent,
} from 'echarts/components';
import { type ComposeOption, type ECharts, init, use } from 'echarts/core';
import { SVGRenderer } from 'echarts/renderers';

use([LineChart, GridComponent, LegendComponent, MarkLineComponent, SVGRenderer]);

/** What the charts of a report are made of. Colours may be CSS variables, which the page resolves. */
export type ChartOption = ComposeOption<GridComponentOption | LegendComponentOption | LineSeriesOption>;

/** Width and height in CSS pixels; the page scales a chart to the room it has. */
export interface Size {
  readonly width: number;
  readonly height: number;
}

/**
 * Draws a chart.
 *
 * The markup carries no `style`, `class` or `id`: the page's style sheet sets the font, its content security policy
 * admits no other style, and the same chart gives the same text (ECharts numbers its ids through the process). What
 * reaches beyond the axes is therefore not clipped.
 *
 * @param read what is to be known of the drawn chart, such as the pixel of a value
 */
export function drawSvg<T>(
  option: ChartOption,
  size: Size,
  read: (chart: ECharts) => T,
): { readonly svg: string; readonly known: T } {
  const chart = init(null, null, { renderer: 'svg', ssr: true, ...size });
  try {
    chart.setOption({ animation: false, ...option });
    const svg = chart
      .renderToSVGString({ useViewBox: true })
      .replace(/<(style|defs)\b[\s\S]*?<\/\1>/g, '')
      .replace(/ (?:class|style|clip-path|pointer-events|ecmeta_\w+)="[^"]*"/g, '');
    return { svg, known: read(chart) };
  } finally {
    chart.dispose();
  }
}
