import { dpoLoss } from '@rlhf-streams/alignment';
import type { Item } from '@rlhf-streams/runs';
import { type Engine, onnxPool } from '@rlhf-streams/tensor';
import * as tf from '@tensorflow/tfjs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { begin, bitsOf, comparisonItem, itemsFor, logprobsOf, runOf } from '../tiny.test.support.js';

let pool: Engine;
beforeAll(() => {
  pool = onnxPool({ workers: 2 });
});
afterAll(() => pool.close());

const sum = (values: readonly number[]) => values.reduce((a, b) => a + b, 0);

describe.each([
  ['sigmoid', {}],
  ['cDPO', { labelSmoothing: 0.2 }],
  ['R-DPO', { alpha: 0.1 }],
  ['sigmoid_norm', { lossType: 'sigmoid_norm' }],
  ['ipo', { lossType: 'ipo' }],
  ['hinge', { lossType: 'hinge', alpha: -0.1 }],
  ['robust', { lossType: 'robust', labelSmoothing: 0.1, alpha: 0.02 }],
  ['simpo', { lossType: 'simpo', beta: 2, simpoGamma: 0.3 }],
] as const)('dpo by %s', (_, change) => {
  const config = runOf('dpo', { dpo: { beta: 0.3, ...change } });

  it('has the loss of its pairs, whatever the micro-batches', async () => {
    const items = itemsFor('dpo', 5);
    const run = await begin(config, pool);
    const sides = await Promise.all(
      ([0, 1] as const).map(async (place) => {
        const sequences = items.map(({ comparison }) => ({
          promptTokens: comparison!.promptTokens,
          tokens: comparison!.completions[place]!.tokens,
        }));
        const logps = (await logprobsOf(run.trainer, sequences)).map(sum);
        const ref = items.map(({ reference }) => sum(reference!.logprobs[place]!));
        return {
          logps: tf.tensor1d(logps),
          logratios: tf.tensor1d(logps.map((lp, i) => lp - ref[i]!)),
          lengths: tf.tensor1d(sequences.map(({ tokens }) => tokens.length)),
        };
      }),
    );
    const { loss, stats } = dpoLoss({
      chosen: sides[0]!,
      rejected: sides[1]!,
      ...config.dpo,
      normaliser: items.length,
    });
    const measured = [];
    for (const microBatchSize of [2, 4, 16]) {
      const other = await begin({ ...config, microBatchSize }, pool);
      measured.push(await other.evaluate(items));
      await other.trainer.close();
    }
    for (const metrics of measured) {
      expect(metrics['eval/loss']).toBeCloseTo(loss.dataSync()[0]!, 4);
      expect(metrics['eval/rewards/margins']).toBeCloseTo(stats.rewardsMargins.dataSync()[0]!, 4);
    }
    const { 'rewards/margins': margin } = await run.update(items);
    const results = run.results!;
    expect(sum(results.map((result) => result.margin as number)) / items.length).toBeCloseTo(margin!, 5);
    await run.trainer.close();
  });
});

/** The state after two steps. */
async function after(change: object, items: readonly Item[]) {
  const run = await begin(runOf('dpo', { dpo: change }), pool);
  for (let step = 0; step < 2; step++) await run.update(items);
  const bits = await bitsOf(run);
  await run.trainer.close();
  return bits;
}

it('R-DPO with an alpha of 0 ends in the bits of DPO', async () => {
  const items = itemsFor('dpo', 4);
  expect(await after({ alpha: 0 }, items)).toEqual(await after({}, items));
});

it('simpo learns from comparisons that no reference has scored; the others need one', async () => {
  const bare = itemsFor('dpo', 4).map(({ reference: _, ...item }) => item);
  const scored = itemsFor('dpo', 4);
  expect(await after({ lossType: 'simpo' }, bare)).toEqual(await after({ lossType: 'simpo' }, scored));
  await expect(after({}, bare)).rejects.toMatchObject({ code: 'TRAINING_ITEM_INCOMPLETE' });
});

it('R-DPO learns more of the shorter winner than of the longer one, where DPO learns from both alike', async () => {
  /** Margins of a pair whose winner is the longer one, and of one whose winner is the shorter one. */
  const margins = async (alpha: number) => {
    const run = await begin(
      runOf('dpo', { dpo: { alpha }, optimizer: { learningRate: 3e-3, schedule: 'constant' } }),
      pool,
    );
    const [long, short] = [8, 2].map((length) => Array<number>(length).fill(5));
    const pairs = [
      [long!, short!],
      [short!, long!],
    ];
    const items = await Promise.all(
      pairs.map(async (completions, i) => {
        const promptTokens = [0, 20 + i];
        const sequences = completions.map((tokens) => ({ promptTokens, tokens }));
        const reference = await logprobsOf(run.trainer, sequences);
        return comparisonItem(`tiny/0/${i}`, promptTokens, completions, { reference });
      }),
    );
    for (let step = 0; step < 6; step++) await run.update(items);
    const [longer, shorter] = run.results!.map(({ margin }) => margin as number);
    await run.trainer.close();
    return { longer: longer!, shorter: shorter! };
  };
  const [dpo, rdpo] = [await margins(0), await margins(0.3)];
  expect(rdpo.shorter).toBeGreaterThan(0.1);
  expect(rdpo.shorter - rdpo.longer).toBeGreaterThan(dpo.shorter - dpo.longer + 0.1);
});
