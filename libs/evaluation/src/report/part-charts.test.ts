import { expect, test } from 'vitest';
import { partChart } from './part-charts.js';
import { chartSvg, renderReport } from './render-report.js';
import type { Chart } from './report-data.js';

const chart: Chart = {
  title: 'Reward & KL',
  x: 'KL (nats)',
  y: 'reward',
  series: [
    {
      name: 'dpo',
      points: [
        { x: 0.1, y: 1, xRange: [0.05, 0.2], yRange: [0.5, 1.5] },
        { x: 4, y: 2, yRange: [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY] },
        { x: Number.NaN, y: 2 },
      ],
      joined: 'step',
      behind: [{ x: 3, y: 1 }],
    },
    { name: 'ppo', points: [{ x: 2, y: 1 }] },
  ],
};

test('a chart alone is a file with its title, its own colours and nothing that is no number', () => {
  const svg = chartSvg(chart);
  expect(svg).toMatch(/^<svg xmlns="http:\/\/www\.w3\.org\/2000\/svg"/);
  expect(svg).toContain('<title>Reward &#38; KL</title>');
  expect(svg).not.toMatch(/NaN|Infinity|var\(--|&(?!#|amp|lt|gt|quot)/);
  for (const text of ['KL (nats)', 'reward', 'dpo', 'ppo']) expect(svg).toContain(`>${text}<`);
  expect(svg.match(/<svg/g)).toHaveLength(1);
});

test('series differ in symbol and colour, and the axis begins at 0 where values begin near it', () => {
  const { option } = partChart(chart);
  const named = (option.series as { name?: string; symbol: string; itemStyle: { color: string } }[]).filter(
    ({ name }) => name !== undefined,
  );
  expect(new Set(named.map(({ symbol }) => symbol)).size).toBe(2);
  expect(new Set(named.map(({ itemStyle }) => itemStyle.color)).size).toBe(2);
  const { min } = option.xAxis as { min(values: { min: number; max: number }): number | null };
  expect([min({ min: 0.1, max: 4 }), min({ min: 18, max: 25 })]).toEqual([0, null]);
});

test('a legend of many names has the room that its rows need', () => {
  const many = Array.from({ length: 12 }, (_, i) => ({ name: `learningRate 0.000${i}`, points: [] }));
  expect(partChart({ ...chart, series: many }).size.height).toBeGreaterThan(
    partChart(chart).size.height + 40,
  );
});

test('a part of a report shows its question, its answer, tables and charts', () => {
  const page = renderReport({
    title: 't',
    createdAt: '2026-03-04T05:06:07Z',
    facts: [],
    parts: [
      {
        title: 'Is it so?',
        text: 'Asked of many.',
        result: 'It is.',
        tables: [
          { title: 'Numbers', head: ['method', 'reward', 'why'], rows: [['dpo', '-1.50 ± 0.25', 'so']] },
        ],
        charts: [chart],
      },
    ],
  });
  const text = page.replace(/<(script|style)\b[^>]*>[\s\S]*?<\/\1>/g, '').replace(/<[^>]+>/g, ' ');
  for (const shown of ['Is it so?', 'Asked of many.', 'It is.', 'Numbers', '−1.50 ± 0.25', 'Reward &amp; KL'])
    expect(text).toContain(shown);
  expect(page).toContain('<td class="number">−1.50 ± 0.25</td>');
  expect(page).toContain('<td class="">so</td>');
});
