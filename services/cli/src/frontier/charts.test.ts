import { meanEstimate } from '@rlhf-streams/evaluation';
import { chartSvg } from '@rlhf-streams/evaluation/report';
import { expect, it } from 'vitest';
import { frontierChart, frontierPart } from './charts.js';
import type { FrontierResults, SettingPoint } from './measure.js';

const over = (...values: number[]) => ({
  ...meanEstimate(values),
  range: [Math.min(...values), Math.max(...values)] as const,
});

const setting = (step: number, change: Partial<SettingPoint> = {}): SettingPoint => ({
  member: 'dpo',
  setting: 'beta 0.1',
  step,
  reward: over(1, 3),
  kl: over(2, 4),
  length: over(20),
  cost: { seconds: over(10, 10.5), tokensTrained: over(40_000, 40_000), tokensGenerated: over(0, 0) },
  ...change,
});

const results = (settings: readonly SettingPoint[]): FrontierResults => ({
  frontier: 'f',
  reference: { reward: 0, length: 20 },
  corner: { kl: 4, reward: 0 },
  points: [],
  settings,
  fronts: [{ member: 'dpo', points: settings.slice(-1), area: meanEstimate([1, 3]) }],
  training: new Map(),
  failed: [],
});

it('tables tell what the best of a method, and each setting, cost over seeds', () => {
  const one = { seconds: over(7.25), tokensTrained: over(900), tokensGenerated: over(30) };
  const alone = setting(20, { setting: 'beta 1', cost: one });
  const [best, , bySetting] = frontierPart(results([setting(10), setting(20), alone])).tables!;
  const cost = ['seconds', 'tokens trained', 'tokens generated'];
  for (const { head, rows } of [best!, bySetting!]) {
    expect(head.slice(-3)).toEqual(cost);
    for (const row of rows) expect(row).toHaveLength(head.length);
  }
  // t(1) = 12.7062: the half of the interval of 10 and 10.5 is 12.7062 * 0.25.
  expect(bySetting!.rows.map((row) => row.slice(-3))).toEqual([
    ['10.3 ± 3.2', '40000 ± 0', '0 ± 0'],
    ['7.3', '900', '30'],
  ]);
  expect(best!.rows[0]!.slice(-3)).toEqual(['7.3', '900', '30']);
});

it('the legend of fronts names the area under each', () => {
  const svg = chartSvg(frontierChart(results([setting(10)])));
  // The areas of the two seeds are 1 and 3: their mean is 2, and half of Student's interval t(1) * 1 = 12.7062.
  expect(svg).toContain('>dpo: area 2.00 ± 12.71<');
});
