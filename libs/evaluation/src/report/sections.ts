/** The parts of a report's page, in the order in which they appear. */
import { html, raw } from 'hono/html';
import { type PolicySummary, policyColumns } from '../policies.js';
import { seriesClass } from './axes.js';
import { goldHistogram, PLOT, PLOT_AREA, POLICY_CHART, policiesChart, trainingChart } from './charts.js';
import { partChart } from './part-charts.js';
import type { Plot } from './plots.js';
import type { ReportData, ReportPart, ReportTable } from './report-data.js';
import { type ChartOption, drawSvg, type Size } from './svg.js';
import { compact, minus, UNSHOWABLE } from './text.js';

type Html = ReturnType<typeof html>;

/** Drawn, not written: not every font has a tick. */
const TICK = html`<svg class="verdict-mark" viewBox="0 0 16 16" aria-hidden="true"><path d="M2.5 8.5 6.5 12.5 13.5 3.5"/></svg>`;
const EXCLAMATION = html`<svg class="verdict-mark" viewBox="0 0 16 16" aria-hidden="true"><path d="M8 2.5V9.5M8 13V13.5"/></svg>`;

export function headerSection({ title, createdAt, facts, verdict }: ReportData): Html {
  const time = new Date(createdAt).toISOString();
  return html`<header class="page-header">
<h1>${title}</h1>
<time datetime="${time}">${time.slice(0, 10)} ${time.slice(11, 16)} UTC</time>
${verdict && html`<p class="verdict ${verdict.ok ? 'ok' : 'not-ok'}">${verdict.ok ? TICK : EXCLAMATION}<span>${verdict.text}</span></p>`}
<dl class="facts">${facts.map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>
</header>`;
}

export function policiesSection({ policies = [] }: ReportData): Html | undefined {
  if (policies.length === 0) return undefined;
  const columns = policyColumns(policies);
  const histogram = goldHistogram(policies);
  return html`<section>
<h2>Policies</h2>
<div class="scroll"><table>
<thead><tr><th scope="col">policy</th>${columns.map(({ title }) => html`<th scope="col" class="number">${title}</th>`)}</tr></thead>
<tbody>${policies.map(
    ({ name }, row) =>
      html`<tr><th scope="row"><span class="dot ${seriesClass(row)}"></span>${name}</th>${columns.map(
        ({ cells }) => {
          const cell = cells[row];
          return cell
            ? html`<td class="number">${minus(cell.value)} <span class="interval">${minus(cell.interval)}</span></td>`
            : html`<td class="number dim">–</td>`;
        },
      )}</tr>`,
  )}</tbody>
</table></div>
<p class="note">Means over ${numbersOfCompletions(policies)} completions of held-out prompts with 95 % confidence intervals. The gold reward judges, and no policy is trained on it; the reward score is the learned reward model's. KL in nats per sequence, length in tokens, ties count half a win.</p>
<div class="charts">
${policyFigure('Reward against KL', 'up and to the left is better; bars are 95 % intervals', policiesChart(policies))}
${histogram && policyFigure('Gold reward', 'spread over completions, means dashed', histogram)}
</div>
</section>`;
}

function policyFigure(title: string, note: string, option: ChartOption, size: Size = POLICY_CHART): Html {
  const { svg } = drawSvg(option, size, () => undefined);
  return html`<figure class="card"><figcaption><h3>${title}</h3><span class="dim">${note}</span></figcaption><div class="chart" role="img" aria-label="${title}">${raw(svg)}</div></figure>`;
}

export function partsSection({ parts = [] }: ReportData): Html | undefined {
  return parts.length === 0 ? undefined : html`${parts.map(partSection)}`;
}

const partSection = ({ title, text, result, tables = [], charts = [] }: ReportPart): Html => {
  const drawn = charts.filter(({ series }) => series.some(({ points }) => points.length > 0));
  return html`<section>
<h2>${title}</h2>
${text !== undefined && html`<p class="note">${text}</p>`}
${result !== undefined && html`<p class="result">${result}</p>`}
${tables.filter(({ rows }) => rows.length > 0).map(tableOf)}
${
  drawn.length > 0 &&
  html`<div class="charts">
${drawn.map((chart) => {
  const { option, size } = partChart(chart);
  return policyFigure(chart.title, chart.note ?? '', option, size);
})}
</div>`
}
</section>`;
};

/** Letters of a cell from which on its column is wrapped. */
const LONG = 60;
const NUMBER = /^[-\u2212+]?[\d.]+(e[-\u2212]?\d+)?\b|^\u2013$|^$/;

/** Numbers stand at the right of their columns, which hold nothing else. */
function tableOf({ title, head, rows }: ReportTable): Html {
  const classes = head.map((_, column) => {
    const cells = rows.map((row) => row[column] ?? '');
    if (column > 0 && cells.every((cell) => NUMBER.test(cell))) return 'number';
    return cells.some(({ length }) => length > LONG) ? 'wide' : '';
  });
  return html`${title !== undefined && html`<h3 class="table-title">${title}</h3>`}<div class="scroll"><table>
<thead><tr>${head.map((name, column) => html`<th scope="col" class="${classes[column]!}">${name}</th>`)}</tr></thead>
<tbody>${rows.map(
    (row) =>
      html`<tr>${row.map((cell, column) =>
        column === 0
          ? html`<th scope="row">${cell}</th>`
          : html`<td class="${classes[column]!}">${classes[column] === 'number' ? minus(cell) : cell}</td>`,
      )}</tr>`,
  )}</tbody>
</table></div>`;
}

export function stagesSection(
  { stages = [], policies = [] }: ReportData,
  plots: readonly Plot[],
): Html | undefined {
  if (stages.length === 0) return undefined;
  return html`<section>
<h2>Training</h2>
${stages.map(
  (
    stage,
    index,
  ) => html`<div class="stage ${seriesClass(policies.findIndex(({ name }) => name === stage.name))}">
<h3><span class="dot"></span>${stage.name}</h3>${stage.description !== undefined && html`<p class="note">${stage.description}</p>`}
<div class="plots">${plots.filter((plot) => plot.stage === index).map(plotFigure)}</div>
</div>`,
)}
</section>`;
}

/** A plot, a legend with its last values, and for the page's script where its steps lie and what was measured there. */
function plotFigure(plot: Plot): Html {
  const { title, series } = plot;
  const steps = [...new Set(series.flatMap((each) => each.steps))].sort((a, b) => a - b);
  const [first = 0, last = 0] = [steps[0], steps.at(-1)];
  const { svg, known } = drawSvg(trainingChart(plot), PLOT, (chart) => ({
    from: chart.convertToPixel({ xAxisIndex: 0 }, first),
    to: chart.convertToPixel({ xAxisIndex: 0 }, last),
  }));
  const values = series.map((each) => {
    const byStep = new Map(each.steps.map((step, i) => [step, each.values[i]]));
    return steps.map((step) => compact(byStep.get(step))).join(' ');
  });
  const names = withoutSharedPrefix(series.map(({ name }) => name));
  const data = JSON.stringify({ steps, values, ...known, ...PLOT_AREA });
  return html`<figure class="card plot" data-plot="${data}"><figcaption><span class="plot-title">${title}</span><span class="step-number"></span><span class="readout${series.length > 1 && ' of-many'}">${names.map(
    (name, i) => {
      const key = series.length > 1 && html`<i class="swatch swatch-${Math.min(i, 3) + 1}"></i>${name} `;
      return html`<span>${key}<b>${compact(series[i]!.values.findLast((value) => value !== null))}</b></span>`;
    },
  )}</span></figcaption><div class="chart" role="img" aria-label="${title} over the steps">${raw(svg)}</div></figure>`;
}

/** A legend does not repeat what all names begin with, up to a slash. */
function withoutSharedPrefix(names: readonly string[]): readonly string[] {
  const [first = '', ...others] = names;
  const prefix = first.slice(0, first.lastIndexOf('/') + 1);
  return others.every((name) => name.startsWith(prefix))
    ? names.map((name) => name.slice(prefix.length))
    : names;
}

export function samplesSection({ samples = [], policies = [] }: ReportData): Html | undefined {
  if (samples.length === 0) return undefined;
  const names = [...new Set(samples.flatMap(({ completions }) => completions.map(({ policy }) => policy)))];
  return html`<section>
<h2>Samples</h2>
<p class="note">The prompt in grey, the completion after it, its gold reward in the corner.</p>
${samples.map(
  ({ prompt, completions }) =>
    html`<article class="sample columns-${Math.min(names.length, 4)}">${names.map((name) => {
      const colour = seriesClass(policies.findIndex((policy) => policy.name === name));
      const own = completions.filter(({ policy }) => policy === name);
      return html`<div class="${colour}">${own.map(
        ({ text, gold }) =>
          html`<div class="completion"><div class="completion-head"><span class="dot"></span>${name}${goldBadge(gold)}</div><p dir="auto"><span class="prompt">${legible(prompt)}</span>${text === '' ? html` <em class="dim">(empty)</em>` : legible(text)}</p></div>`,
      )}</div>`;
    })}</article>`,
)}
</section>`;
}

export function checkpointsSection({ checkpoints = [] }: ReportData): Html | undefined {
  if (checkpoints.length === 0) return undefined;
  return html`<section>
<h2>Checkpoints</h2>
<dl class="checkpoints">${checkpoints.map(({ name, path }) => html`<div><dt>${name}</dt><dd><code>${path}</code></dd></div>`)}</dl>
</section>`;
}

/** A text in which every character that has no glyph is a grey question mark. */
function legible(text: string): unknown[] {
  const mark = html`<span class="unshowable" title="not a character">?</span>`;
  return text.split(UNSHOWABLE).flatMap((part, i) => (i === 0 ? [part] : [mark, part]));
}

function goldBadge(gold: number | undefined): Html | undefined {
  if (gold === undefined || !Number.isFinite(gold)) return undefined;
  const text = gold.toFixed(2);
  const sign = Number(text) > 0 ? 'positive' : Number(text) < 0 ? 'negative' : 'zero';
  return html`<span class="badge ${sign}" title="gold reward">${sign === 'positive' ? '+' : ''}${minus(text)}</span>`;
}

/** The number of completions behind the means: one where all policies have as many, else each in turn. */
function numbersOfCompletions(policies: readonly PolicySummary[]): string {
  return [...new Set(policies.map(({ gold }) => gold.n))].join(' / ');
}
