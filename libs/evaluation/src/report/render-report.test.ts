import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import { plotsOf } from './plots.js';
import { renderReport } from './render-report.js';
import type { MetricSeries, ReportData, StageReport } from './report-data.js';

const estimate = (mean: number) => ({ mean, low: mean - 0.25, high: mean + 0.25, n: 64 });
const metric = (name: string, values: (number | null)[] = [3, 2, 1]): MetricSeries => ({
  name,
  steps: values.map((_, i) => i + 1),
  values,
});
const report: ReportData = {
  title: 'Controlled sentiment',
  createdAt: '2026-03-04T05:06:07Z',
  facts: [['seed', '17']],
  policies: [
    {
      name: 'SFT',
      gold: estimate(0.5),
      score: estimate(0),
      kl: { mean: 0, low: 0, high: 0, n: 64 },
      length: estimate(31),
    },
    {
      name: 'PPO',
      gold: estimate(2.5),
      score: estimate(3),
      kl: estimate(9.5),
      winRate: { mean: 0.8, low: 0.684, high: 0.881, n: 64 },
      length: estimate(29),
      goldScores: [1, 2, 2.5, 4.5],
    },
  ],
  verdict: { ok: true, text: 'PPO raised the gold reward.' },
  stages: [{ name: 'SFT', series: [metric('loss')] }],
  samples: [{ prompt: 'the film', completions: [{ policy: 'PPO', text: ' is a joy', gold: 2.345 }] }],
  checkpoints: [{ name: 'PPO', path: 'runs/r1/ppo/120' }],
};

/** The page without what is in script and style elements. */
function markupOf(page: string): string {
  return page.replace(/<(script|style)\b[^>]*>[\s\S]*?<\/\1>/g, '');
}

test('a report shows facts, policies with intervals, verdict, samples and checkpoints', () => {
  const markup = markupOf(renderReport(report));
  const text = markup.replace(/<[^>]+>/g, '');
  for (const shown of ['2026-03-04 05:06 UTC', 'seed', 'PPO raised the gold reward.', 'runs/r1/ppo/120']) {
    expect(text).toContain(shown);
  }
  expect(text).toContain('2.50 ± 0.25');
  expect(text).toContain('win rate vs SFT');
  expect(text).toContain('80 % [68, 88]');
  expect(text).toContain('+2.35');
  expect(markup).toContain('<span class="prompt">the film</span> is a joy');
});

test('texts cannot become markup, wherever they stand', () => {
  const attack = `</title></script><script>alert('x')</script><img src=x onerror="y">\u2028`;
  const page = renderReport({
    title: attack,
    createdAt: report.createdAt,
    facts: [[attack, attack]],
    policies: [{ ...report.policies![1]!, name: attack }],
    verdict: { ok: false, text: attack },
    stages: [
      {
        name: attack,
        description: attack,
        series: [{ ...metric(attack), unit: attack }],
        groups: [{ title: attack, series: [attack] }],
      },
    ],
    parts: [
      {
        title: attack,
        text: attack,
        result: attack,
        tables: [{ title: attack, head: [attack], rows: [[attack]] }],
        charts: [
          {
            title: attack,
            note: attack,
            x: attack,
            y: attack,
            series: [{ name: attack, points: [{ x: 1, y: 1 }] }],
          },
        ],
      },
    ],
    samples: [{ prompt: attack, completions: [{ policy: attack, text: attack, gold: 1 }] }],
    checkpoints: [{ name: attack, path: attack }],
  });
  expect(page.match(/<script/g)).toHaveLength(1);
  expect(page.match(/<\/script/g)).toHaveLength(1);
  expect(page).not.toContain('<img');
  expect(page.match(/<\/title>/g)).toHaveLength(1);
  expect(page).not.toMatch(/<[^>]*\sonerror="/);
});

test('the page needs no network and admits only its own script and style', () => {
  const page = renderReport(report);
  expect(page).not.toMatch(/\b(src|href|action)\s*=\s*["']|@import|url\(/);
  const policy = /Content-Security-Policy" content="([^"]*)"/.exec(page)![1]!.replaceAll('&#39;', "'");
  expect(policy).toContain("default-src 'none'");
  for (const element of ['style', 'script']) {
    const [, text] = new RegExp(`<${element}>([\\s\\S]*?)</${element}>`).exec(page)!;
    const digest = createHash('sha256').update(text!).digest('base64');
    expect(policy).toContain(`${element}-src 'sha256-${digest}'`);
  }
});

test('every chart is drawn in the page itself, and is styled by its style sheet alone', () => {
  const markup = markupOf(renderReport(report));
  const charts = markup.match(/<svg width[\s\S]*?<\/svg>/g)!;
  expect(charts).toHaveLength(3);
  expect(markup).not.toMatch(/ style="|CDATA| id="/);
  expect(charts.join('')).not.toMatch(/ class="/);
});

test('a run has one colour in the table, the charts and its own plots', () => {
  const stages = [{ name: 'PPO', series: [metric('loss')] }];
  const markup = markupOf(renderReport({ ...report, stages }));
  expect(markup).toContain('<span class="dot series-2"></span>PPO');
  expect(markup).toContain('<div class="stage series-2">');
  const [frontier, histogram, plot] = markup.match(/<svg width[\s\S]*?<\/svg>/g)!;
  expect(frontier).toContain('fill="var(--series-2)"');
  expect(histogram).toContain('fill="var(--series-2)"');
  expect(plot).toContain('stroke="var(--accent)"');
});

test('without the script a plot shows its last values, and a legend does not repeat what names share', () => {
  const series = (names: string[], title: string): StageReport => ({
    name: 'DPO',
    series: names.map((name, i) => metric(name, [1, 10 + i, null])),
    groups: [{ title, series: names }],
  });
  const textOf = (stage: StageReport) =>
    /<figcaption><span class="plot-title">[\s\S]*?<\/figcaption>/
      .exec(renderReport({ ...report, stages: [stage] }))![0]
      .replace(/<[^>]+>/g, ' ')
      .replace(/\s+/g, ' ')
      .trim();
  expect(textOf(series(['rewards/chosen', 'rewards/rejected'], 'rewards'))).toBe(
    'rewards chosen 10 rejected 11',
  );
  expect(textOf(series(['objective/scores', 'scores/gold'], 'all'))).toBe(
    'all objective/scores 10 scores/gold 11',
  );
  expect(textOf({ name: 'DPO', series: [metric('lr', [1e-5, 2.5e-5])] })).toBe('lr 2.5e−5');
});

test('the same data give the same bytes', () => {
  expect(renderReport(structuredClone(report))).toBe(renderReport(report));
});

test('a run that measured nothing still has a report', () => {
  const page = renderReport({ ...report, facts: [], policies: [], stages: [], samples: [], checkpoints: [] });
  expect(page).toContain('PPO raised the gold reward.');
  expect(markupOf(page)).not.toContain('data-plot');
});

test('estimates without an interval, and scores all alike, are drawn without NaN', () => {
  const alone = { mean: 1, low: -Infinity, high: Infinity, n: 1 };
  const missing = { mean: Number.NaN, low: Number.NaN, high: Number.NaN, n: 0 };
  const policies = [
    { name: 'SFT', gold: alone, score: missing, kl: alone, length: alone, goldScores: [1] },
    { name: 'DPO', gold: missing, score: missing, kl: missing, length: missing, goldScores: [1] },
  ];
  const markup = markupOf(renderReport({ ...report, policies }));
  expect(markup).not.toMatch(/NaN|Infinity/);
  expect(markup).toContain('n/a');
});

test('grouped metrics share a plot, which stands where the first of them does', () => {
  const stage: StageReport = {
    name: 'DPO',
    series: [metric('loss'), metric('rewards/chosen'), metric('lr'), metric('rewards/rejected')],
    groups: [{ title: 'rewards', series: ['rewards/rejected', 'rewards/chosen'] }],
  };
  const plots = plotsOf([{ name: 'SFT', series: [metric('loss')] }, stage]);
  expect(plots.map(({ stage, title, series }) => [stage, title, series.map(({ name }) => name)])).toEqual([
    [0, 'loss', ['loss']],
    [1, 'loss', ['loss']],
    [1, 'rewards', ['rewards/rejected', 'rewards/chosen']],
    [1, 'lr', ['lr']],
  ]);
});

test('the y axis of a plot says what it counts: the unit of its series, else their title', () => {
  const nats = (name: string): MetricSeries => ({ ...metric(name), unit: 'nats' });
  const stage: StageReport = {
    name: 'DPO',
    series: [nats('kl'), metric('lr'), nats('rewards/chosen'), nats('rewards/rejected'), metric('margin')],
    groups: [
      { title: 'rewards', series: ['rewards/chosen', 'rewards/rejected'] },
      { title: 'mixed', series: ['kl', 'margin'] },
    ],
  };
  expect(plotsOf([stage]).map(({ title, y }) => [title, y])).toEqual([
    ['mixed', 'mixed'],
    ['lr', 'lr'],
    ['rewards', 'nats'],
  ]);
});

test('characters that no font shows are question marks in grey, and the verdict needs none', () => {
  const broken = 'a\uFFFD\u0007b\uE000\uD800';
  const page = markupOf(
    renderReport({
      ...report,
      samples: [{ prompt: broken, completions: [{ policy: 'PPO', text: broken }] }],
    }),
  );
  const mark = '<span class="unshowable" title="not a character">?</span>';
  const shown = `a${mark}${mark}b${mark}${mark}`;
  expect(page).toContain(`<span class="prompt">${shown}</span>${shown}</p>`);
  expect(page).not.toMatch(/[\u2190-\uFFFF]/u);
  const lines = ' tab\there,\nnaïve 😀';
  expect(
    markupOf(
      renderReport({ ...report, samples: [{ prompt: '', completions: [{ policy: 'PPO', text: lines }] }] }),
    ),
  ).toContain(lines);
});

test.each<[string, Partial<ReportData>]>([
  ['createdAt must be', { createdAt: 'yesterday' }],
  ['3 steps and 1 values', { stages: [{ name: 'PPO', series: [{ ...metric('lr'), values: [1] }] }] }],
  ['must ascend', { stages: [{ name: 'PPO', series: [{ ...metric('lr'), steps: [1, 3, 3] }] }] }],
  [
    'names the metric "kl"; the stage has: lr',
    { stages: [{ name: 'PPO', series: [metric('lr')], groups: [{ title: 'x', series: ['kl'] }] }] },
  ],
])('data that cannot be drawn are refused: %s', (message, part) => {
  expect(() => renderReport({ ...report, ...part })).toThrow(
    expect.objectContaining({
      code: 'EVALUATION_BAD_REPORT',
      message: expect.stringContaining(message) as string,
    }),
  );
});
