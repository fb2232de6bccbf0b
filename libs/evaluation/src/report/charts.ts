/** The charts over policies: reward against KL, and the spread of the gold reward. */
import type { PolicySummary } from '../policies.js';
import type { Estimate } from '../statistics.js';
import { axisFor } from './axis.js';
import { type Html, html } from './html.js';
import { type Box, placeLabels, textWidth } from './labels.js';
import type { ReportData } from './report-data.js';

const WIDTH = 520;
const HEIGHT = 340;
/** Radius of a policy's mark. */
const MARK = 5.5;
const PLOT = { left: 48, right: WIDTH - 18, top: 28, bottom: HEIGHT - 44 };

/** Class that gives an element the colour of the policy at `index`; negative: no policy. */
export function colourClass(index: number): string {
  return index < 0 ? 'series-none' : `series-${(index % 6) + 1}`;
}

/** Gold reward over KL to the reference, with both intervals, and each policy's path there if it is known. */
export function frontierChart(policies: readonly PolicySummary[], frontier: ReportData['frontier']): Html {
  const paths = (frontier ?? []).map(({ policy, points }) => ({
    index: policies.findIndex(({ name }) => name === policy),
    points: points.filter(({ kl, gold }) => Number.isFinite(kl) && Number.isFinite(gold)),
  }));
  const pathPoints = paths.flatMap(({ points }) => points);
  const x = axisFor(
    [0, ...policies.flatMap(({ kl }) => ends(kl)), ...pathPoints.map(({ kl }) => kl)],
    PLOT.left,
    PLOT.right,
  );
  const y = axisFor(
    [...policies.flatMap(({ gold }) => ends(gold)), ...pathPoints.map(({ gold }) => gold)],
    PLOT.bottom,
    PLOT.top,
  );
  const marks = policies
    .map(({ name, kl, gold }, index) => {
      const [left, right] = ends(kl).map(x.place) as [number, number];
      const [bottom, top] = ends(gold).map(y.place) as [number, number];
      return { name, index, at: { x: x.place(kl.mean), y: y.place(gold.mean) }, left, right, top, bottom };
    })
    .filter(({ at }) => Number.isFinite(at.x) && Number.isFinite(at.y));
  const labels = placeLabels(marks, marks.flatMap(crossOf), { ...PLOT, right: WIDTH });
  return html`<svg class="chart" viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="Gold reward against KL to the reference">
${y.ticks.map(
  ({ label, at }) =>
    html`<line class="grid" x1="${PLOT.left}" x2="${PLOT.right}" y1="${px(at)}" y2="${px(at)}"/><text class="tick" x="${PLOT.left - 8}" y="${px(at + 4)}" text-anchor="end">${label}</text>`,
)}
${x.ticks.map(
  ({ label, at }) =>
    html`<line class="grid" x1="${px(at)}" x2="${px(at)}" y1="${PLOT.top}" y2="${PLOT.bottom}"/><text class="tick" x="${px(at)}" y="${PLOT.bottom + 18}" text-anchor="middle">${label}</text>`,
)}
<text class="axis-title" x="4" y="${PLOT.top - 14}">gold reward</text>
<text class="axis-title" x="${PLOT.right}" y="${HEIGHT - 6}" text-anchor="end">KL to reference (nats per sequence)</text>
${paths.map(
  ({ index, points }) =>
    html`<polyline class="path ${colourClass(index)}" points="${points.map((p) => `${px(x.place(p.kl))},${px(y.place(p.gold))}`).join(' ')}"/>${points.map(
      (p) =>
        html`<circle class="step ${colourClass(index)}" cx="${px(x.place(p.kl))}" cy="${px(y.place(p.gold))}" r="2"/>`,
    )}`,
)}
${marks.map(
  ({ index, at, left, right, top, bottom }) =>
    html`<g class="${colourClass(index)}"><line class="error" x1="${px(left)}" x2="${px(right)}" y1="${px(at.y)}" y2="${px(at.y)}"/><line class="error" x1="${px(at.x)}" x2="${px(at.x)}" y1="${px(bottom)}" y2="${px(top)}"/><circle class="mark" cx="${px(at.x)}" cy="${px(at.y)}" r="${MARK}"/></g>`,
)}
${labels.map(({ x, y }, i) => html`<text class="label" x="${px(x)}" y="${px(y)}">${marks[i]!.name}</text>`)}
</svg>`;
}

/** What a mark with its error bars covers. */
function crossOf({ at, ...ends }: Box & { at: { x: number; y: number } }): Box[] {
  const around = (radius: number) => ({
    left: at.x - radius,
    right: at.x + radius,
    top: at.y - radius,
    bottom: at.y + radius,
  });
  const line = around(2);
  const { left, right, top, bottom } = ends;
  return [{ ...line, left, right }, { ...line, top, bottom }, around(MARK + 1)];
}

/** Histogram of the gold reward of every policy that gives its scores, one row each over a shared axis. */
export function goldHistogram(policies: readonly PolicySummary[]): Html | undefined {
  const rows = policies
    .map(({ name, goldScores }, index) => ({
      name,
      index,
      scores: (goldScores ?? []).filter(Number.isFinite),
    }))
    .filter(({ scores }) => scores.length > 0);
  if (rows.length === 0) return undefined;
  const x = axisFor(
    rows.flatMap(({ scores }) => scores),
    PLOT.left,
    PLOT.right,
    7,
  );
  const bins = 36;
  const barWidth = (PLOT.right - PLOT.left) / bins;
  const rowHeight = (PLOT.bottom - PLOT.top) / rows.length;
  return html`<svg class="chart" viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="Distribution of the gold reward of each policy">
${x.ticks.map(
  ({ label, at }) =>
    html`<line class="grid" x1="${px(at)}" x2="${px(at)}" y1="${PLOT.top}" y2="${PLOT.bottom}"/><text class="tick" x="${px(at)}" y="${PLOT.bottom + 18}" text-anchor="middle">${label}</text>`,
)}
<text class="axis-title" x="${PLOT.right}" y="${HEIGHT - 6}" text-anchor="end">gold reward</text>
${rows.map(({ name, index, scores }, row) => {
  const base = PLOT.top + rowHeight * (row + 1);
  const counts = new Array<number>(bins).fill(0);
  for (const score of scores) {
    const bin = Math.floor((x.place(score) - PLOT.left) / barWidth);
    counts[Math.min(bins - 1, Math.max(0, bin))]! += 1;
  }
  const tallest = Math.max(...counts);
  const heights = counts.map((count) => (count / tallest) * (rowHeight - 14));
  // The name stands to the left, unless bars would be under it there and not on the right.
  const under = Math.min(bins, Math.ceil((4 + textWidth(name)) / barWidth));
  const covered = (part: readonly number[]) => part.some((height) => height > rowHeight - 24);
  const onRight = covered(heights.slice(0, under)) && !covered(heights.slice(-under));
  const mean = x.place(scores.reduce((sum, score) => sum + score, 0) / scores.length);
  return html`<g class="${colourClass(index)}">${heights
    .map((height, bin) =>
      height === 0
        ? undefined
        : html`<rect class="bar" x="${px(PLOT.left + bin * barWidth + 0.75)}" y="${px(base - height)}" width="${px(barWidth - 1.5)}" height="${px(height)}"/>`,
    )
    .filter(
      (bar) => bar !== undefined,
    )}<line class="base" x1="${PLOT.left}" x2="${PLOT.right}" y1="${px(base)}" y2="${px(base)}"/><line class="mean" x1="${px(mean)}" x2="${px(mean)}" y1="${px(base - rowHeight + 8)}" y2="${px(base)}"/><text class="label" x="${onRight ? PLOT.right - 4 : PLOT.left + 4}" y="${px(base - rowHeight + 20)}" text-anchor="${onRight ? 'end' : 'start'}">${name}</text></g>`;
})}
</svg>`;
}

function ends({ mean, low, high }: Estimate): [number, number] {
  return [Number.isFinite(low) ? low : mean, Number.isFinite(high) ? high : mean];
}

function px(pixels: number): string {
  return pixels.toFixed(1);
}
