import { describe, expect, it } from 'vitest';
import { earlierStreams } from './earlier-steps.js';
import { specOf } from './methods/index.js';
import { parseRunConfig, type RunConfig } from './run-config.js';
import { stepsOf } from './runs.js';
import { type IssuedStep, idsOf, rowsOf } from './steps.js';

const common = { run: 'r', steps: 3, model: 'm' };
const sft = parseRunConfig({
  ...common,
  method: 'sft',
  data: 'd',
  batchSize: 2,
  checkpointEvery: 5,
  prefetchSteps: 7,
});
const dpo = parseRunConfig({ ...common, method: 'dpo', data: 'd' });
const ppoOf = (change: object = {}) =>
  parseRunConfig({
    ...common,
    method: 'ppo',
    prompts: 'd',
    scorers: ['gold:d'],
    batchSize: 2,
    samplesPerPrompt: 3,
    ...change,
  });
const sampleOf = (change: object = {}) =>
  parseRunConfig({ ...common, method: 'sample', prompts: 'd', ...change });

describe('the spec of a run', () => {
  it('over a dataset joins its items, for dpo with the log-probs of the reference', () => {
    expect(specOf(sft)).toMatchObject({
      data: { kind: 'demonstrations', source: { from: 'path', path: 'd' } },
      joins: ['demonstrations'],
      ahead: 7,
      onPolicy: false,
      publishes: 'policy',
      publishEvery: 5,
    });
    expect(specOf(dpo)).toMatchObject({
      data: { kind: 'comparisons', limit: { setting: 'dpo.maxLength', tokens: 1024 } },
      joins: ['comparisons', 'reference-logprobs'],
    });
  });

  it('publishes policies, but for reward models', () => {
    expect([sft, dpo, ppoOf(), sampleOf()].map((config) => specOf(config).publishes)).toEqual(
      Array(4).fill('policy'),
    );
    const reward = parseRunConfig({ ...common, method: 'reward', data: 'd' });
    expect(specOf(reward).publishes).toBe('reward model');
  });

  it('of ppo joins rollouts, scores and log-probs, and publishes every step', () => {
    expect(specOf(ppoOf({ maxStaleness: 2 }))).toMatchObject({
      data: { kind: 'prompts' },
      streams: [{ name: 'train', split: 'train', draws: { batch: 2 }, samples: 3 }],
      joins: ['rollouts', 'rewards', 'reference-logprobs'],
      ahead: 2,
      onPolicy: true,
      publishes: 'policy',
      publishEvery: 1,
    });
  });

  it('of sampling joins only what was asked for, and draws from the prompts that were', () => {
    expect(specOf(sampleOf()).joins).toEqual(['rollouts']);
    expect(specOf(sampleOf({ scorers: ['gold:d'] })).joins).toEqual(['rollouts', 'rewards']);
    expect(specOf(sampleOf({ reference: 'm' })).joins).toEqual(['rollouts', 'reference-logprobs']);
    expect(specOf(sampleOf({ testPrompts: true })).streams).toMatchObject([{ name: 'train', split: 'test' }]);
  });
});

describe('the items of a step', () => {
  const step: IssuedStep = {
    run: 'r',
    step: 2,
    streams: [
      { stream: 'train', kind: 'prompts', split: 'train', rows: [9, 4], samples: 2 },
      { stream: 'evaluation', kind: 'prompts', split: 'test', rows: { from: 3, count: 2 } },
    ],
  };

  it('are counted through its streams, and are the samples of prompts', () => {
    expect(idsOf(step)).toEqual([
      {
        stream: 'train',
        issued: ['r/2/0', 'r/2/1'],
        items: ['r/2/0/0', 'r/2/0/1', 'r/2/1/0', 'r/2/1/1'],
      },
      { stream: 'evaluation', issued: ['r/2/2', 'r/2/3'], items: ['r/2/2/0', 'r/2/3/0'] },
    ]);
  });

  it('are what is issued, where nothing samples', () => {
    const streams = step.streams.map(({ samples: _, ...stream }) => ({
      ...stream,
      kind: 'comparisons' as const,
    }));
    expect(idsOf({ ...step, streams }).map(({ items }) => items)).toEqual([
      ['r/2/0', 'r/2/1'],
      ['r/2/2', 'r/2/3'],
    ]);
  });

  it('are of the rows that are listed, or so many in a row', () => {
    expect(step.streams.map(rowsOf)).toEqual([
      [9, 4],
      [3, 4],
    ]);
  });

  it('of an earlier build are a batch, and the held-out items in one more step', () => {
    const extent = { steps: 3, testItems: 2 };
    const ids = (config: RunConfig, step: number) =>
      idsOf({ run: 'r', step, streams: earlierStreams(config, extent, step) }).map(({ stream, items }) => [
        stream,
        items,
      ]);
    expect(ids(sft, 2)).toEqual([['train', ['r/2/0', 'r/2/1']]]);
    expect(ids(sft, 3)).toEqual([['evaluation', ['r/3/0', 'r/3/1']]]);
    expect(ids(ppoOf(), 1)).toEqual([
      ['train', ['r/1/0/0', 'r/1/0/1', 'r/1/0/2', 'r/1/1/0', 'r/1/1/1', 'r/1/1/2']],
    ]);
    const view = { config: sft, ...extent };
    const streams = [
      { stream: 'train' as const, kind: 'demonstrations' as const, split: 'train' as const, items: 9 },
    ];
    expect([stepsOf(view), stepsOf({ ...view, testItems: 0 }), stepsOf({ ...view, streams })]).toEqual([
      4, 3, 3,
    ]);
  });
});
