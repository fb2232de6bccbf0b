/** A run's report as one self-contained HTML file. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { EvaluationError } from '../errors.js';
import { embeddedJson, html, trusted } from './html.js';
import { plotsOf } from './plots.js';
import type { ReportData } from './report-data.js';
import {
  checkpointsSection,
  headerSection,
  policiesSection,
  samplesSection,
  stagesSection,
} from './sections.js';

/**
 * Renders a run's report: one HTML file without any reference to the network, readable from `file://`, in light and
 * dark. The same data give the same bytes. All texts are escaped, and the page's content security policy admits no
 * script or style but its own.
 *
 * Errors: EVALUATION_BAD_REPORT, naming what is wrong with the data.
 */
export function renderReport(data: ReportData): string {
  if (Number.isNaN(Date.parse(data.createdAt))) {
    throw new EvaluationError(
      'EVALUATION_BAD_REPORT',
      `createdAt must be an ISO 8601 time, got ${JSON.stringify(data.createdAt)}.`,
    );
  }
  const plots = plotsOf(data.stages);
  const { style, script, licence } = readAssets();
  const policy = `default-src 'none'; style-src '${hash(style)}'; script-src '${hash(script)}'; base-uri 'none'; form-action 'none'`;
  const page = html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${data.title}</title>
<!-- Plots by uPlot:
${trusted(licence)}
-->
<style>${trusted(style)}</style>
</head>
<body>
<main>
${headerSection(data)}
${policiesSection(data)}
${stagesSection(data, plots)}
${samplesSection(data)}
${checkpointsSection(data)}
</main>
<script type="application/json" id="plots">${embeddedJson(plots)}</script>
<script>${trusted(script)}</script>
</body>
</html>
`;
  return page.markup;
}

function readAssets() {
  const require = createRequire(import.meta.url);
  const plotting = (file: string) => readFileSync(require.resolve(`uplot/${file}`), 'utf8');
  const own = (file: string) => readFileSync(new URL(`../../assets/${file}`, import.meta.url), 'utf8');
  return {
    style: `${plotting('dist/uPlot.min.css')}\n${own('theme.css')}\n${own('report.css')}`,
    script: `${plotting('dist/uPlot.iife.min.js')}\n${own('report.js')}`,
    licence: plotting('LICENSE').trim(),
  };
}

/** Source expression of the content security policy for an inline element with exactly this text. */
function hash(text: string): string {
  return `sha256-${createHash('sha256').update(text).digest('base64')}`;
}
