/** A run's report as one self-contained HTML file. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { html, raw } from 'hono/html';
import { EvaluationError } from '../errors.js';
import { partChart } from './part-charts.js';
import { plotsOf } from './plots.js';
import type { Chart, ReportData } from './report-data.js';
import {
  checkpointsSection,
  headerSection,
  partsSection,
  policiesSection,
  samplesSection,
  stagesSection,
} from './sections.js';
import { drawSvg, standaloneSvg } from './svg.js';

/**
 * Renders a run's report: one HTML file without any reference to the network, readable from `file://`, in light and
 * dark, on paper and without its script, which only tells the values under the pointer. The same data give the same
 * bytes. All texts are escaped, and the page's content security policy admits no script or style but its own.
 *
 * @throws EvaluationError EVALUATION_BAD_REPORT, naming what is wrong with the data
 */
export function renderReport(data: ReportData): string {
  if (Number.isNaN(Date.parse(data.createdAt))) {
    throw new EvaluationError(
      'EVALUATION_BAD_REPORT',
      `createdAt must be an ISO 8601 time, got ${JSON.stringify(data.createdAt)}.`,
    );
  }
  const style = `${asset('theme.css')}\n${asset('report.css')}`;
  const script = asset('report.js');
  const policy = `default-src 'none'; style-src '${hash(style)}'; script-src '${hash(script)}'; base-uri 'none'; form-action 'none'`;
  const page = html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${data.title}</title>
<style>${raw(style)}</style>
</head>
<body>
<main>
${headerSection(data)}
${policiesSection(data)}
${partsSection(data)}
${stagesSection(data, plotsOf(data.stages ?? []))}
${samplesSection(data)}
${checkpointsSection(data)}
</main>
<script>${raw(script)}</script>
</body>
</html>
`;
  return page.toString();
}

/** A chart as an SVG file of its own. */
export function chartSvg(chart: Chart): string {
  const { option, size } = partChart(chart);
  const { svg } = drawSvg(option, size, () => undefined);
  return standaloneSvg(svg, chart.title, size, asset('theme.css'));
}

const asset = (file: string): string =>
  readFileSync(new URL(`../../assets/${file}`, import.meta.url), 'utf8');

/** Source expression of the content security policy for an inline element with exactly this text. */
function hash(text: string): string {
  return `sha256-${createHash('sha256').update(text).digest('base64')}`;
}
