import type { StepMetrics } from '@rlhf-streams/gateway';
import { describe, expect, it } from 'vitest';
import { costOf, type FrontierPoint, type FrontierResults, frontsOf, overSeeds } from './measure.js';
import { frontierCsv, frontsCsv, settingsCsv } from './outputs.js';

const stepAt = (step: number, seconds: number): StepMetrics => ({
  step,
  split: 'train',
  policyVersion: step + 1,
  time: new Date(seconds * 1000).toISOString(),
  metrics: { 'timing_s/update': 0.5, 'tokens/trained': 100, 'tokens/generated': 40 },
});

const point = (member: string, change: Partial<FrontierPoint>): FrontierPoint => ({
  member,
  setting: 'beta 1',
  values: { 'dpo.beta': 1 },
  seed: 0,
  run: `${member}.s0`,
  step: 10,
  kl: 1,
  reward: 1,
  length: 20,
  scores: {},
  cost: { seconds: 1, tokensTrained: 2, tokensGenerated: 3 },
  ...change,
});

describe('the cost of a version', () => {
  const steps = [0, 1, 2, 3].map((step) => stepAt(step, 100 + 2 * step));

  it('is the time and the tokens of the steps before it', () => {
    expect(costOf(steps, 3)).toEqual({ seconds: 4.5, tokensTrained: 300, tokensGenerated: 120 });
    expect(costOf(steps, 0)).toEqual({ seconds: 0, tokensTrained: 0, tokensGenerated: 0 });
  });

  it('leaves out the time in which services were down', () => {
    const resumed = [...steps, stepAt(4, 5000), stepAt(5, 5002)];
    expect(costOf(resumed, 6).seconds).toBe(0.5 + 5 * 2);
  });

  it('leaves out steps that only measured', () => {
    expect(costOf([...steps, { ...stepAt(4, 108), split: 'test' }], 5).tokensTrained).toBe(400);
  });
});

const seeds = [
  point('dpo', { seed: 0, reward: 1, kl: 1 }),
  point('dpo', { seed: 1, reward: 3, kl: 3, cost: { seconds: 4, tokensTrained: 2, tokensGenerated: 9 } }),
  point('dpo', { seed: 0, step: 20, reward: 0.5, kl: 4 }),
  point('ppo', { reward: 0, kl: 9 }),
];

it('settings are averaged over their seeds, each step by itself', () => {
  const [first, second] = overSeeds(seeds);
  expect(first).toMatchObject({
    member: 'dpo',
    step: 10,
    reward: { mean: 2, n: 2, range: [1, 3] },
    kl: { mean: 2 },
    cost: {
      seconds: { mean: 2.5, n: 2, range: [1, 4] },
      tokensTrained: { mean: 2, low: 2, high: 2 },
      tokensGenerated: { mean: 6, range: [3, 9] },
    },
  });
  expect(second).toMatchObject({
    step: 20,
    reward: { mean: 0.5, n: 1, low: -Infinity },
    cost: { seconds: { mean: 1, n: 1 } },
  });
});

it('a front has the settings that no other beats, and its area is one of each seed', () => {
  const [dpo, ppo] = frontsOf(seeds, overSeeds(seeds), { kl: 10, reward: 0 });
  expect(dpo!.points.map(({ step }) => step)).toEqual([10]);
  // Seed 0 dominates 1 x 9, seed 1 dominates 3 x 7.
  expect(dpo!.area).toMatchObject({ mean: 15, n: 2 });
  expect(ppo!.area.mean).toBe(0);
});

it('files have a line for each version, each setting, and each front, and quote what holds a comma', () => {
  const points = [
    point('dpo', { setting: 'beta 1, lossType ipo' }),
    point('ppo', { reward: -0.5 }),
    point('ppo', { reward: -0.5, seed: 1 }),
  ];
  const settings = overSeeds(points);
  const fronts = [
    { member: 'dpo', points: settings.slice(0, 1), area: { mean: 1, low: -Infinity, high: Infinity, n: 1 } },
    { member: 'ppo', points: [], area: { mean: 2, low: 1.5, high: 2.5, n: 2 } },
  ];
  const results = {
    ...{ frontier: 'f', reference: { reward: -1, length: 9 }, corner: { kl: 5, reward: -1 } },
    ...{ points, settings, fronts, training: new Map(), failed: [] },
  } satisfies FrontierResults;
  const linesOf = (csv: string) => csv.trimEnd().split('\r\n');
  expect(linesOf(frontierCsv(results))).toEqual([
    'member,setting,seed,step,reward,kl,length,seconds,tokens_trained,tokens_generated,on_front,run',
    'dpo,"beta 1, lossType ipo",0,10,1,1,20,1,2,3,true,dpo.s0',
    'ppo,beta 1,0,10,-0.5,1,20,1,2,3,false,ppo.s0',
    'ppo,beta 1,1,10,-0.5,1,20,1,2,3,false,ppo.s0',
  ]);
  expect(linesOf(settingsCsv(results))).toEqual([
    'member,setting,step,seeds,on_front,reward,reward_low,reward_high,kl,kl_low,kl_high,length,length_low,length_high,seconds,seconds_low,seconds_high,tokens_trained,tokens_trained_low,tokens_trained_high,tokens_generated,tokens_generated_low,tokens_generated_high',
    'dpo,"beta 1, lossType ipo",10,1,true,1,,,1,,,20,,,1,,,2,,,3,,',
    'ppo,beta 1,10,2,false,-0.5,-0.5,-0.5,1,1,1,20,20,20,1,1,1,2,2,2,3,3,3',
  ]);
  expect(linesOf(frontsCsv(results))).toEqual([
    'member,seeds,area,area_low,area_high,corner_kl,corner_reward',
    'dpo,1,1,,,5,-1',
    'ppo,2,2,1.5,2.5,5,-1',
  ]);
});
