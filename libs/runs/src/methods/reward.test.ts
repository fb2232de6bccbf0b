import { describe, expect, it } from 'vitest';
import { parseRunConfig } from '../run-config.js';
import { specOf } from './index.js';

const run = { run: 'r', method: 'reward', steps: 5, model: 'm', data: 'd' };

describe('a run of a reward model', () => {
  it('has the streams of its preferences alone, unless there are demonstrations', () => {
    const { streams, datasets, joins } = specOf(parseRunConfig(run));
    expect(streams.map(({ name }) => name)).toEqual(['train', 'evaluation']);
    expect([datasets, joins]).toEqual([undefined, ['comparisons']]);
  });

  it('scores the first demonstrations after the last step, and with each evaluation', () => {
    const { streams, datasets, joins } = specOf(
      parseRunConfig({
        ...run,
        demonstrations: 'texts.jsonl',
        maxDemonstrations: 12,
        testFraction: 0.1,
        evaluateEvery: 2,
        reward: { maxLength: 99 },
      }),
    );
    expect(joins).toEqual(['comparisons', 'demonstrations']);
    expect(datasets).toMatchObject({
      demonstrations: {
        kind: 'demonstrations',
        source: { path: 'texts.jsonl' },
        limit: { setting: 'reward.maxLength', tokens: 99 },
      },
    });
    expect(streams.slice(2)).toEqual([
      {
        name: 'demonstrations',
        dataset: 'demonstrations',
        split: 'train',
        draws: { first: 12 },
        joins: ['demonstrations'],
        schedule: { every: 2 },
      },
    ]);
  });
});
