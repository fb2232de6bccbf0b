import { expect, test } from 'vitest';
import type { PolicySummary } from '../policies.js';
import { goldHistogram, policiesChart, trainingChart } from './charts.js';
import { type ChartOption, drawSvg } from './svg.js';

/** The texts of a drawn chart: titles, and the labels of ticks. */
const textsOf = (option: ChartOption, where = ''): string[] =>
  drawSvg(option, { width: 360, height: 210 }, () => undefined)
    .svg.match(new RegExp(`<text[^>]*${where}[^>]*>[^<]*`, 'g'))!
    .map((text) => text.replace(/<[^>]*>/, ''));
/** The labels below a chart and the title there. */
const below = (option: ChartOption): string[] => textsOf(option, 'text-anchor="middle"');

const plot = (steps: number[], values: (number | null)[] = steps.map(() => 0.5)) =>
  trainingChart({ stage: 0, title: 'loss', y: 'nats per token', series: [{ name: 'loss', steps, values }] });

test.each([
  [
    [0, 1],
    ['0', '1'],
  ],
  [
    [0, 1, 2, 3],
    ['0', '1', '2', '3'],
  ],
  [[7], ['7', '8']],
])('the axis of steps %j has ticks at whole steps alone', (steps, ticks) => {
  expect(below(plot(steps)).toSorted()).toEqual([...ticks, 'step']);
  expect(textsOf(plot(steps))).toContain('nats per token');
});

test('ticks that differ in a late digit read differently', () => {
  const labels = textsOf(plot([0, 1], [5.331, 5.333]), 'text-anchor="end"');
  expect(labels.length).toBeGreaterThan(2);
  expect(new Set(labels).size).toBe(labels.length);
});

test('a metric that was never measured has axes', () => {
  expect(textsOf(plot([0, 1], [null, null]))).toContain('step');
  expect(textsOf(plot([]))).toContain('step');
});

const policy = (name: string, kl: number, gold: number, half = 0.25): PolicySummary => {
  const estimate = (mean: number) => ({ mean, low: mean - half, high: mean + half, n: 9 });
  return {
    name,
    kl: { ...estimate(kl), low: kl, high: kl },
    gold: estimate(gold),
    score: estimate(0),
    length: estimate(9),
  };
};

test('the chart of policies names its axes with their units, and every policy', () => {
  const texts = textsOf(policiesChart([policy('SFT', 0, 0.1), policy('<b>', 6.8, 1.2)]));
  for (const shown of ['gold reward', 'KL to reference (nats per sequence)', 'SFT', '&lt;b&gt;'])
    expect(texts).toContain(shown);
});

test('the axis of the KL begins at 0 for a policy whose KL is 0 but for rounding, and else below it', () => {
  const ticks = (least: number) => below(policiesChart([policy('SFT', least, 0), policy('PPO', 6.8, 1)]));
  expect(ticks(-1e-7)).toContain('0');
  expect(ticks(-1e-7).join()).not.toContain('−');
  expect(ticks(-0.1).join()).toContain('−');
});

test('a histogram counts every score once, and draws scores that are all alike', () => {
  const scores = [0, 0.01, 0.5, 1, 1, 1];
  const option = goldHistogram([{ ...policy('SFT', 0, 0), goldScores: scores }])!;
  const [{ data }] = option.series as [{ data: [number, number][] }];
  expect(data.reduce((sum, [, count]) => sum + count, 0)).toBe(scores.length);
  expect(data[1]).toEqual([0, 2]);
  expect(data.at(-2)![1]).toBe(3);
  expect(textsOf(goldHistogram([{ ...policy('SFT', 0, 0), goldScores: [1] }])!)).toContain('completions');
  expect(goldHistogram([policy('SFT', 0, 0)])).toBeUndefined();
});
