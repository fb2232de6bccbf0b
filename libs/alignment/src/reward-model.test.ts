import * as tf from '@tensorflow/tfjs';
import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { expectClose, flatten, golden, type Matrix } from './golden.test.support.js';
import { type Ranks, rankedRows, ranksOf } from './rankings.test.support.js';
import { bestOfNRewardLoss, pairwiseRewardLoss, rewardRange } from './reward-model.js';

interface Case {
  name: string;
  kind: string;
  params: { center_rewards_coefficient: number | null };
  inputs: { chosen: number[]; rejected: number[]; margin: number[] | null };
  expected: {
    loss: number;
    d_chosen: number[];
    d_rejected: number[];
    metrics: Record<'accuracy' | 'margin' | 'min_reward' | 'mean_reward' | 'max_reward', number>;
  };
}

beforeAll(() => tf.setBackend('cpu'));

const cases = golden<Case>('reward_model.json').filter((c) => c.kind === 'bradley_terry');

describe.each(cases)('golden $name', ({ params, inputs, expected }) => {
  const batch = {
    margin: inputs.margin === null ? undefined : tf.tensor1d(inputs.margin),
    centerRewardsCoefficient: params.center_rewards_coefficient ?? 0,
    normaliser: inputs.chosen.length,
  };
  const rewards = () => [tf.tensor1d(inputs.chosen), tf.tensor1d(inputs.rejected)];

  test('loss and gradients', () => {
    const loss = (chosen: tf.Tensor, rejected: tf.Tensor) =>
      pairwiseRewardLoss({ ...batch, chosen, rejected }).loss;
    const { value, grads } = tf.valueAndGrads(loss)(rewards());
    expectClose(value, expected.loss, 1e-6);
    expectClose(grads[0]!, expected.d_chosen, 1e-5);
    expectClose(grads[1]!, expected.d_rejected, 1e-5);
  });

  test('statistics', () => {
    const [chosen, rejected] = rewards() as [tf.Tensor, tf.Tensor];
    const { stats } = pairwiseRewardLoss({ ...batch, chosen, rejected });
    expectClose(stats.accuracy, expected.metrics.accuracy, 1e-6);
    expectClose(stats.margin, expected.metrics.margin, 1e-6);
    expectClose(stats.meanReward, expected.metrics.mean_reward, 1e-6);
    const { minReward, maxReward } = rewardRange([inputs.chosen, inputs.rejected]);
    expectClose([minReward, maxReward], [expected.metrics.min_reward, expected.metrics.max_reward], 1e-12);
  });
});

interface RankedCase {
  name: string;
  kind: string;
  params: { temperature?: number };
  inputs: { rewards: Matrix; order?: Matrix; ranks?: Matrix };
  expected: { loss: number; d_rewards: Matrix };
}

const ranked = golden<RankedCase>('reward_model.json');
const ofKind = (...kinds: string[]) => ranked.filter(({ kind }) => kinds.includes(kind));

/** All responses against each other: the K-wise loss of comparisons. */
function kwise(scores: tf.Tensor, ranks: Ranks, options: { centerRewardsCoefficient?: number } = {}) {
  const [chosen, rejected] = [tf.reshape(scores, [-1, 1]), tf.reshape(scores, [1, -1])];
  const mask = tf.tensor2d(rankedRows(ranks).prefers);
  return pairwiseRewardLoss({ chosen, rejected, mask, normaliser: ranks.length, ...options });
}

function bestOfN(scores: tf.Tensor, ranks: Ranks, options: { centerRewardsCoefficient?: number } = {}) {
  const { bestPrefers, rivals, best } = rankedRows(ranks);
  return bestOfNRewardLoss({
    scores,
    prefers: tf.tensor2d(bestPrefers),
    rivals: tf.tensor2d(rivals),
    best: tf.tensor1d(best),
    normaliser: ranks.length,
    ...options,
  });
}

describe.each(ofKind('kwise_all_pairs', 'kwise_all_pairs_ranks'))('golden $name', ({ inputs, expected }) => {
  test('the loss of all pairs and its gradient', () => {
    const loss = (scores: tf.Tensor) => kwise(scores, inputs.ranks ?? ranksOf(inputs.order!)).loss;
    const { value, grad } = tf.valueAndGrad(loss)(tf.tensor1d(inputs.rewards.flat()));
    expectClose(value, expected.loss, 1e-6);
    expectClose(grad, expected.d_rewards.flat(), 1e-5);
  });
});

describe.each(ofKind('infonce_best_of_n'))('golden $name', ({ params, inputs, expected }) => {
  test('the loss of the best of all and its gradient', () => {
    const { temperature = 1 } = params;
    const loss = (scores: tf.Tensor) => bestOfN(tf.div(scores, temperature), ranksOf(inputs.order!)).loss;
    const { value, grad } = tf.valueAndGrad(loss)(tf.tensor1d(inputs.rewards.flat()));
    expectClose(value, expected.loss, 1e-6);
    expectClose(grad, expected.d_rewards.flat(), 1e-5);
  });
});

test('scores 2, 1, 0, -1 in the order of their ranks have a K-wise loss of 0.207038', () => {
  expectClose(kwise(tf.tensor1d([2, 1, 0, -1]), [[1, 2, 3, 4]]).loss, 0.207038, 1e-6);
});

const score = fc.double({ min: -4, max: 4, noNaN: true });
const rankings = fc.array(fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 2, maxLength: 5 }), {
  minLength: 1,
  maxLength: 4,
});
const scoredRankings = rankings.chain((ranks) =>
  fc.tuple(
    fc.constant(ranks),
    ...ranks.map((own) => fc.array(score, { minLength: own.length, maxLength: own.length })),
  ),
);

test('of two responses, all pairs and the best of two are the Bradley-Terry loss, with centering too', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(score, score), { minLength: 1, maxLength: 4 }), (pairs) => {
      const ranks = pairs.map(() => [1, 2]);
      const options = { centerRewardsCoefficient: 0.01 };
      const lossOf = (of: typeof kwise) => (scores: tf.Tensor) => of(scores, ranks, options).loss;
      const side = (i: number) => tf.tensor1d(pairs.map((pair) => pair[i]!));
      const bradleyTerry = pairwiseRewardLoss({
        chosen: side(0),
        rejected: side(1),
        normaliser: pairs.length,
        ...options,
      });
      const scores = tf.tensor1d(pairs.flat());
      for (const objective of [kwise, bestOfN]) {
        expectClose(lossOf(objective)(scores), bradleyTerry.loss.arraySync(), 1e-5);
        for (const [name, stat] of Object.entries(objective(scores, ranks).stats))
          expectClose(stat, bradleyTerry.stats[name as keyof typeof bradleyTerry.stats].arraySync(), 1e-5);
      }
      expectClose(
        tf.grad(lossOf(kwise))(scores),
        tf.grad(lossOf(bestOfN))(scores).arraySync() as number[],
        1e-5,
      );
    }),
    { numRuns: 30 },
  );
});

test('of several that tie for the best, each is the best of all, on average', () => {
  fc.assert(
    fc.property(scoredRankings, ([ranks, ...scores]) => {
      const strict = ranks.map((own) => new Set(own).size > 1);
      fc.pre(strict.every(Boolean));
      const expected = ranks.map((own, c) => {
        const exp = scores[c]!.map(Math.exp);
        const all = exp.reduce((sum, x) => sum + x, 0);
        const losses = exp.flatMap((x, i) => (own[i] === Math.min(...own) ? [-Math.log(x / all)] : []));
        return losses.reduce((sum, x) => sum + x, 0) / losses.length;
      });
      const mean = expected.reduce((sum, x) => sum + x, 0) / ranks.length;
      expectClose(bestOfN(tf.tensor1d(scores.flat()), ranks).loss, mean, 1e-5);
    }),
    { numRuns: 30 },
  );
});

test('scores of millions, and rows of no comparison, leave both losses and their gradients finite', () => {
  const ranks = [[1, 2, 3]];
  const rows = rankedRows(ranks);
  const wide = (matrix: Matrix) => tf.tensor2d([...matrix.map((row) => [...row, 0]), [0, 0, 0, 0]]);
  const scores = tf.tensor1d([-3e6, 1e6, 2, 7]);
  const loss = (scores: tf.Tensor) =>
    bestOfNRewardLoss({
      scores,
      prefers: wide(rows.bestPrefers),
      rivals: wide(rows.rivals),
      best: tf.tensor1d([...rows.best, 0]),
      normaliser: 1,
    }).loss;
  const { value, grad } = tf.valueAndGrad(loss)(scores);
  expectClose(value, 4e6, 1e-6);
  expectClose(grad, [-1, 1, 0, 0], 1e-6);
  expect(flatten(grad.arraySync() as number[])[3]).toBe(0);
});

test('a tie is right half the time: a new head, which scores 0 everywhere, has an accuracy of one half', () => {
  const accuracy = (chosen: number[], rejected: number[]) =>
    pairwiseRewardLoss({ chosen: tf.tensor1d(chosen), rejected: tf.tensor1d(rejected), normaliser: 4 }).stats
      .accuracy;
  expectClose(accuracy([0, 0, 0, 0], [0, 0, 0, 0]), 0.5, 0);
  expectClose(accuracy([1, 2, 2, 3], [0, 2, 2, 4]), 0.5, 0);
  expectClose(accuracy([1, 2, 2, 5], [0, 2, 1, 4]), 0.875, 0);
});

test('the range of no rewards is refused', () => {
  expect(() => rewardRange([[]])).toThrow('at least one');
});
