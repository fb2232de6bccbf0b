import * as tf from '@tensorflow/tfjs';
import fc from 'fast-check';
import { beforeAll, describe, test } from 'vitest';
import { meanLogprobs } from './dpo.js';
import { expectClose, golden, type Matrix } from './golden.test.support.js';
import { proLoss } from './pro.js';
import { type Ranks, rankedRows, ranksOf } from './rankings.test.support.js';
import { bestOfNRewardLoss, pairwiseRewardLoss } from './reward-model.js';

beforeAll(() => tf.setBackend('cpu'));

interface Options {
  readonly rewards?: Matrix;
  readonly sftCoef?: number;
  readonly pairs?: 'listwise' | 'best_rest';
}

/** The loss of rankings whose responses have these scores, one after another. */
function pro(scores: tf.Tensor, ranks: Ranks, { rewards, sftCoef = 0, pairs = 'listwise' }: Options = {}) {
  const { prefers, bestPrefers, best } = rankedRows(ranks);
  const flat = rewards?.flat();
  return proLoss({
    scores,
    prefers: tf.tensor2d(pairs === 'listwise' ? prefers : bestPrefers),
    ...(flat && { gaps: tf.tensor2d(flat.map((r) => flat.map((other) => r - other))) }),
    stages: pairs === 'listwise' ? tf.ones([best.length]) : tf.tensor1d(best),
    best: tf.tensor1d(best),
    sftCoef: tf.fill([best.length], sftCoef),
    normaliser: ranks.length,
  });
}
const lossAndGradient = (scores: Matrix | readonly number[], ranks: Ranks, options: Options = {}) =>
  tf.valueAndGrad((x: tf.Tensor) => pro(x, ranks, options).loss)(tf.tensor1d(scores.flat()));

interface Case {
  name: string;
  kind: string;
  inputs: { scores: Matrix; rewards: Matrix; order: Matrix };
  expected: {
    loss: number;
    d_scores: Matrix;
    loss_without_temperatures: number;
    d_scores_without_temperatures: Matrix;
    d_rewards: Matrix;
  };
}
const cases = golden<Case>('reward_model.json');
const inOrder = (scores: Matrix): Ranks => scores.map((row) => row.map((_, i) => i + 1));

describe.each(cases.filter(({ kind }) => kind === 'pro'))('golden $name', ({ inputs, expected }) => {
  const { scores, rewards } = inputs;

  test('with temperatures of the reward gaps', () => {
    const { value, grad } = lossAndGradient(scores, inOrder(scores), { rewards });
    expectClose(value, expected.loss, 1e-6);
    expectClose(grad, expected.d_scores.flat(), 1e-5);
  });

  test('without temperatures', () => {
    const { value, grad } = lossAndGradient(scores, inOrder(scores));
    expectClose(value, expected.loss_without_temperatures, 1e-6);
    expectClose(grad, expected.d_scores_without_temperatures.flat(), 1e-5);
  });
});

describe.each(cases.filter(({ kind }) => kind === 'plackett_luce'))(
  'golden $name',
  ({ inputs, expected }) => {
    test('without temperatures, a list is a Plackett-Luce likelihood of the scores', () => {
      const { rewards, order } = inputs;
      const { value, grad } = lossAndGradient(rewards, ranksOf(order));
      expectClose(value, expected.loss, 1e-6);
      expectClose(grad, expected.d_rewards.flat(), 1e-5);
    });
  },
);

const score = fc.double({ min: -4, max: 0, noNaN: true });
const rank = fc.integer({ min: 1, max: 4 });
const scored = fc
  .array(fc.array(fc.tuple(rank, score), { minLength: 2, maxLength: 5 }), { minLength: 1, maxLength: 4 })
  .filter((all) => all.every((own) => new Set(own.map(([rank]) => rank)).size > 1))
  .map((all) => ({
    ranks: all.map((own) => own.map(([rank]) => rank)),
    scores: all.map((own) => own.map(([, score]) => score)),
  }));

const meanOf = (values: readonly number[]) => values.reduce((sum, x) => sum + x, 0) / values.length;

test('ties: a stage for each response that any is ranked below, of itself and those; the SFT term is the mean of the best', () => {
  fc.assert(
    fc.property(scored, fc.double({ min: 0, max: 2, noNaN: true }), ({ ranks, scores }, sftCoef) => {
      const expected = ranks.map((own, c) => {
        const z = scores[c]!;
        const stages = own.map((rank, k) => {
          const below = z.filter((_, i) => own[i]! > rank);
          return Math.log(1 + below.reduce((sum, other) => sum + Math.exp(other - z[k]!), 0));
        });
        const best = z.filter((_, i) => own[i] === Math.min(...own));
        return { pro: stages.reduce((sum, x) => sum + x, 0), nll: -meanOf(best) };
      });
      const { loss, stats } = pro(tf.tensor1d(scores.flat()), ranks, { sftCoef });
      expectClose(stats.proLoss, meanOf(expected.map((each) => each.pro)), 1e-5);
      expectClose(stats.nllLoss, meanOf(expected.map((each) => each.nll)), 1e-5);
      expectClose(loss, meanOf(expected.map((each) => each.pro + sftCoef * each.nll)), 1e-5);
    }),
    { numRuns: 30 },
  );
});

test('of two responses, the list, its first stage, Bradley-Terry and the best of two are one loss', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(score, score), { minLength: 1, maxLength: 4 }), (pairs) => {
      const ranks = pairs.map(() => [1, 2]);
      const { bestPrefers, rivals, best } = rankedRows(ranks);
      const side = (i: number) => tf.tensor1d(pairs.map((pair) => pair[i]!));
      const bradleyTerry = pairwiseRewardLoss({
        chosen: side(0),
        rejected: side(1),
        normaliser: pairs.length,
      });
      const scores = tf.tensor1d(pairs.flat());
      const bestOfTwo = bestOfNRewardLoss({
        scores,
        prefers: tf.tensor2d(bestPrefers),
        rivals: tf.tensor2d(rivals),
        best: tf.tensor1d(best),
        normaliser: pairs.length,
      });
      for (const { loss } of [pro(scores, ranks), pro(scores, ranks, { pairs: 'best_rest' }), bestOfTwo])
        expectClose(loss, bradleyTerry.loss.arraySync(), 1e-5);
    }),
    { numRuns: 30 },
  );
});

test('the best against the rest is the first stage of a list alone', () => {
  const scores = [-1, -0.5, -2, -0.1];
  const logSumExp = Math.log(scores.reduce((sum, x) => sum + Math.exp(x), 0));
  expectClose(pro(tf.tensor1d(scores), [[1, 2, 3, 4]], { pairs: 'best_rest' }).loss, logSumExp + 1, 1e-6);
});

test('a reward gap multiplies the difference of two responses: one of 1 changes nothing', () => {
  const of = (options: Options) => pro(tf.tensor1d([-1, -2]), [[1, 2]], options).loss;
  expectClose(of({ rewards: [[3, 2]] }), of({}).arraySync(), 1e-6);
  expectClose(of({ rewards: [[3, -1]] }), Math.log1p(Math.exp(-4)), 1e-6);
});

test('a mean log-prob is that of the tokens of a response', () => {
  const z = meanLogprobs({ logps: tf.tensor1d([-6, -1, 0]), lengths: tf.tensor1d([4, 1, 0]) });
  expectClose(z, [-1.5, -1, 0], 1e-7);
});
