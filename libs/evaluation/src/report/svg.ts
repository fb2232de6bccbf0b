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

export type Series = NonNullable<Extract<ChartOption['series'], readonly unknown[]>>[number];

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

/**
 * A drawn chart as an SVG file that stands alone: its title above it, and the colours of a light page.
 * @param theme the style sheet that holds the colours
 */
export function standaloneSvg(svg: string, title: string, { width, height }: Size, theme: string): string {
  const colours = new Map<string, string>();
  // The first definition of each is that of a light page.
  for (const [, name, value] of theme.matchAll(/(--[\w-]+):\s*(#\w+)/g))
    if (!colours.has(name!)) colours.set(name!, value!);
  const drawn = svg
    .replace(/^<svg[^>]*>/, '')
    .replace(/<\/svg>\s*$/, '')
    .replace(/var\((--[\w-]+)\)/g, (_, name: string) => colours.get(name) ?? '#000000');
  const above = 36;
  const margin = 12;
  const box = { width: width + 2 * margin, height: height + above + margin };
  const text = title.replace(/[&<>]/g, (letter) => `&#${letter.charCodeAt(0)};`);
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${box.width}" height="${box.height}" viewBox="0 0 ${box.width} ${box.height}" font-family="system-ui, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif" font-size="12">
<title>${text}</title>
<rect width="100%" height="100%" fill="#ffffff"/>
<text x="${margin}" y="24" font-size="15" font-weight="600" fill="#1a1a18">${text}</text>
<g transform="translate(${margin} ${above})">${drawn}</g>
</svg>
`;
}
