/** The parts of a report's page, in the order in which they appear. */
import { policyColumns } from '../policies.js';
import { UNSHOWABLE } from '../unshowable.js';
import { minus } from './axis.js';
import { colourClass, frontierChart, goldHistogram } from './charts.js';
import { type Html, html } from './html.js';
import type { Plot } from './plots.js';
import type { ReportData } from './report-data.js';

/** Drawn, not written: not every font has a tick. */
const TICK = html`<svg class="verdict-mark" viewBox="0 0 16 16" aria-hidden="true"><path d="M2.5 8.5 6.5 12.5 13.5 3.5"/></svg>`;
const EXCLAMATION = html`<svg class="verdict-mark" viewBox="0 0 16 16" aria-hidden="true"><path d="M8 2.5V9.5M8 13V13.5"/></svg>`;

export function headerSection({ title, createdAt, facts, verdict }: ReportData): Html {
  const time = new Date(createdAt).toISOString();
  return html`<header class="page-header">
<h1>${title}</h1>
<time datetime="${time}">${time.slice(0, 10)} ${time.slice(11, 16)} UTC</time>
<p class="verdict ${verdict.ok ? 'ok' : 'not-ok'}">${verdict.ok ? TICK : EXCLAMATION}<span>${verdict.text}</span></p>
<dl class="facts">${facts.map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>
</header>`;
}

export function policiesSection({ policies, frontier }: ReportData): Html {
  if (policies.length === 0) return html``;
  const columns = policyColumns(policies);
  const histogram = goldHistogram(policies);
  return html`<section>
<h2>Policies</h2>
<div class="scroll"><table>
<thead><tr><th scope="col">policy</th>${columns.map(({ title }) => html`<th scope="col" class="number">${title}</th>`)}</tr></thead>
<tbody>${policies.map(
    ({ name }, row) =>
      html`<tr><th scope="row"><span class="dot ${colourClass(row)}"></span>${name}</th>${columns.map(
        ({ cells }) => {
          const cell = cells[row];
          return cell
            ? html`<td class="number">${minus(cell.value)} <span class="interval">${minus(cell.interval)}</span></td>`
            : html`<td class="number dim">–</td>`;
        },
      )}</tr>`,
  )}</tbody>
</table></div>
<p class="note">Means over ${nOf(policies)} completions of held-out prompts with 95 % confidence intervals. The gold reward judges, and no policy is trained on it; the reward score is the learned reward model's. KL in nats per sequence, length in tokens, ties count half a win.</p>
<div class="charts">
<figure class="card"><figcaption><h3>Reward against KL</h3><span class="dim">up and to the left is better</span></figcaption>${frontierChart(policies, frontier)}</figure>
${histogram && html`<figure class="card"><figcaption><h3>Gold reward</h3><span class="dim">spread over completions, mean marked</span></figcaption>${histogram}</figure>`}
</div>
</section>`;
}

export function stagesSection({ stages, policies }: ReportData, plots: readonly Plot[]): Html {
  if (stages.length === 0) return html``;
  return html`<section>
<h2>Training</h2>
${stages.map((stage, index) => {
  const colour = colourClass(policies.findIndex(({ name }) => name === stage.name));
  return html`<div class="stage ${colour}">
<h3><span class="dot"></span>${stage.name}</h3>${stage.description === undefined ? undefined : html`<p class="note">${stage.description}</p>`}
<div class="plots">${plots.map((plot, id) =>
    plot.stage === index
      ? html`<figure class="card plot" data-plot="${id}"><figcaption><span class="plot-title">${plot.title}</span><span class="readout"></span></figcaption><div class="canvas"></div></figure>`
      : html``,
  )}</div>
</div>`;
})}
<noscript><p class="note">The plots are drawn by this page's own script, which is switched off here.</p></noscript>
</section>`;
}

export function samplesSection({ samples, policies }: ReportData): Html {
  if (samples.length === 0) return html``;
  const names = [...new Set(samples.flatMap(({ completions }) => completions.map(({ policy }) => policy)))];
  return html`<section>
<h2>Samples</h2>
<p class="note">The prompt in grey, the completion after it, its gold reward in the corner.</p>
${samples.map(
  ({ prompt, completions }) =>
    html`<article class="sample columns-${Math.min(names.length, 4)}">${names.map((name) => {
      const colour = colourClass(policies.findIndex((policy) => policy.name === name));
      const own = completions.filter(({ policy }) => policy === name);
      return html`<div class="${colour}">${own.map(
        ({ text, gold }) =>
          html`<div class="completion"><div class="completion-head"><span class="dot"></span>${name}${goldBadge(gold)}</div><p dir="auto"><span class="prompt">${legible(prompt)}</span>${text === '' ? html` <em class="dim">(empty)</em>` : legible(text)}</p></div>`,
      )}</div>`;
    })}</article>`,
)}
</section>`;
}

export function checkpointsSection({ checkpoints }: ReportData): Html {
  if (checkpoints.length === 0) return html``;
  return html`<section>
<h2>Checkpoints</h2>
<dl class="checkpoints">${checkpoints.map(({ name, path }) => html`<div><dt>${name}</dt><dd><code>${path}</code></dd></div>`)}</dl>
</section>`;
}

/** What no font can show, bytes that are no character among it, as a question mark in grey. */
function legible(text: string): Html[] {
  return text
    .split(UNSHOWABLE)
    .flatMap((part, i) =>
      i === 0
        ? [html`${part}`]
        : [html`<span class="unshowable" title="not a character">?</span>`, html`${part}`],
    );
}

function goldBadge(gold: number | undefined): Html | undefined {
  if (gold === undefined || !Number.isFinite(gold)) return undefined;
  const text = gold.toFixed(2);
  const sign = Number(text) > 0 ? 'positive' : Number(text) < 0 ? 'negative' : 'zero';
  return html`<span class="badge ${sign}" title="gold reward">${sign === 'positive' ? '+' : ''}${minus(text)}</span>`;
}

function nOf(policies: ReportData['policies']): string {
  return [...new Set(policies.map(({ gold }) => gold.n))].join(' / ');
}
