import { type ConfigOf, type Item, parseRunConfig } from '@rlhf-streams/runs';
import { describe, expect, it } from 'vitest';
import { episodeItem } from '../tiny.test.support.js';
import type { Trainer } from '../trainer/trainer.js';
import { sample } from './sample.js';

const update = (change: object, items: readonly Item[]) => {
  const config = parseRunConfig({
    run: 'tiny',
    method: 'sample',
    steps: 1,
    model: 'm',
    prompts: 'p',
    ...change,
  }) as ConfigOf<'sample'>;
  // It trains nothing: there is no trainer.
  return sample.update(
    { config: { ...config, steps: 1 }, step: 0, carry: {}, trainer: undefined as unknown as Trainer },
    items,
    {},
  );
};

const items = [
  episodeItem(
    'tiny/0/0/0',
    { promptTokens: [0], tokens: [1, 2] },
    { logprobs: [-1, -2], reference: [-1.5, -1], score: 3 },
  ),
  episodeItem(
    'tiny/0/0/1',
    { promptTokens: [0], tokens: [4] },
    { logprobs: [-1], reference: [-3], score: 1, finishReason: 'length' },
  ),
];

describe('a sampling run', () => {
  it('reports what its rollouts, scores and log-probs say', async () => {
    expect(await update({}, items)).toEqual({
      metrics: {
        'rollout/count': 2,
        'rollout/length': 1.5,
        'val/num_eos_tokens': 1,
        'objective/scores': 2,
        'scores/test': 2,
        'objective/kl': 0.75,
      },
      carry: {},
      results: [
        { item: 'tiny/0/0/0', length: 2, score: 3, kl: [0.5, -1] },
        { item: 'tiny/0/0/1', length: 1, score: 1, kl: [2] },
      ],
    });
  });

  it('needs neither scores nor a reference', async () => {
    const bare = items.map(({ id, rollout }) => ({ id, rollout: rollout! }));
    expect((await update({}, bare)).metrics).toEqual({
      'rollout/count': 2,
      'rollout/length': 1.5,
      'val/num_eos_tokens': 1,
    });
  });

  it('records comparisons where it is asked to rank', async () => {
    const { comparisons } = await update({ rank: true, scorers: ['gold:d'] }, items);
    expect(comparisons).toMatchObject([{ comparison: 'tiny/0/0', ranks: [1, 2] }]);
  });

  it('goes on when every rollout of a step failed', async () => {
    expect(await update({}, [])).toEqual({ metrics: { 'rollout/count': 0 }, carry: {} });
  });
});
