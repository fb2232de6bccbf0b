import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { specOf } from './methods/index.js';
import { parseRunConfig } from './run-config.js';
import { itemsOf, minPolicyVersion, stepsOf } from './steps.js';

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
      data: { kind: 'prompts', split: 'train', samples: 3 },
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
    expect(specOf(sampleOf({ testPrompts: true })).data).toMatchObject({ kind: 'prompts', split: 'test' });
  });
});

describe('the items of a step', () => {
  it('are a batch, then the held-out items', () => {
    expect(itemsOf(sft, 2, 5)).toEqual(['r/2/0', 'r/2/1']);
    expect(itemsOf(sft, 3, 3)).toEqual(['r/3/0', 'r/3/1', 'r/3/2']);
    expect(itemsOf(sft, 3, 0)).toEqual([]);
  });

  it('are the samples of its prompts, where it samples', () => {
    expect(itemsOf(ppoOf(), 1, 0)).toEqual([
      'r/1/0/0',
      'r/1/0/1',
      'r/1/0/2',
      'r/1/1/0',
      'r/1/1/1',
      'r/1/1/2',
    ]);
  });

  it('are in the order of prompts, then samples, as numbers, each once', () => {
    const sizes = fc.integer({ min: 1, max: 30 });
    fc.assert(
      fc.property(sizes, sizes, (batchSize, samplesPerPrompt) => {
        const ids = itemsOf(ppoOf({ batchSize, samplesPerPrompt }), 2, 0);
        expect(new Set(ids).size).toBe(batchSize * samplesPerPrompt);
        const [first, ...others] = ids.map((id) => id.split('/').slice(2).map(Number));
        others.reduce(([prompt, sample], [nextPrompt, nextSample]) => {
          const isNext = sample! + 1 < samplesPerPrompt ? [prompt, sample! + 1] : [prompt! + 1, 0];
          expect([nextPrompt, nextSample]).toEqual(isNext);
          return [nextPrompt!, nextSample!];
        }, first!);
      }),
    );
  });

  it('come in one step more where some are held out', () => {
    expect([stepsOf(sft, 0), stepsOf(sft, 1)]).toEqual([3, 4]);
  });
});

describe('the oldest policy that may generate the prompts of a step', () => {
  it('is at most maxStaleness versions behind', () => {
    const oldest = (maxStaleness: number) =>
      [0, 1, 2, 3].map((step) => minPolicyVersion(ppoOf({ maxStaleness }), step));
    expect(oldest(0)).toEqual([0, 1, 2, 3]);
    expect(oldest(2)).toEqual([0, 0, 0, 1]);
  });

  it('is the first where the policy does not change', () => {
    expect([0, 1, 2].map((step) => minPolicyVersion(sampleOf(), step))).toEqual([0, 0, 0]);
  });
});
