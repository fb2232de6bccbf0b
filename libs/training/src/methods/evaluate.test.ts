import { type ConfigOf, parseRunConfig } from '@rlhf-streams/runs';
import { expect, it } from 'vitest';
import { comparisonItem } from '../tiny.test.support.js';
import type { Trainer } from '../trainer/trainer.js';
import { evaluate } from './evaluate.js';

const run = { run: 'tiny', method: 'evaluate', epochs: 1, model: 'm', data: 'd' };
const config = { ...(parseRunConfig(run) as ConfigOf<'evaluate'>), steps: 1 };
// It trains nothing: there is no trainer.
const step = { config, step: 0, carry: {}, trainer: undefined as unknown as Trainer };

it('an evaluation by log-probs reports how often the best completion is the likeliest', async () => {
  const completions = [[1, 2], [3]];
  const items = [
    comparisonItem('tiny/0/0', [0], completions, { reference: [[-1, -1], [-3]] }),
    comparisonItem('tiny/0/1', [0], completions, { reference: [[-1, -1], [-2 + Math.log(3)]] }),
  ];
  const { metrics, results } = await evaluate.update(step, items, {});
  expect(metrics).toMatchObject({ items: 2, accuracy: 0.5, mc1: 0.5 });
  expect(metrics.mc2).toBeCloseTo((1 / (1 + Math.exp(-1)) + 0.25) / 2, 9);
  expect(results).toMatchObject([
    { item: 'tiny/0/0', logprobs: [-2, -3], accuracy: 1 },
    { item: 'tiny/0/1', accuracy: 0 },
  ]);
  expect(await evaluate.update(step, [], {})).toEqual({ metrics: { items: 0 }, carry: {} });
});
