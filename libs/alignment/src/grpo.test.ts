import * as tf from '@tensorflow/tfjs';
import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { expectClose, type Matrix, read } from './golden.test.support.js';
import { equalGroups, type GrpoLossType, groupAdvantages, type ScaleRewards, tokenWeights } from './grpo.js';
import { ppoPolicyLoss } from './ppo.js';

beforeAll(() => tf.setBackend('cpu'));

const samplesOf = (rewards: Matrix) =>
  rewards.flatMap((row, prompt) => row.map((reward) => ({ prompt: `${prompt}`, reward })));

describe('advantages', () => {
  const golden = read<{ rewards: Matrix; grpo_like: Matrix }>('policy_gradient.json');

  test('golden, by the deviation of the group', () => {
    const advantages = groupAdvantages(samplesOf(golden.rewards), { scaleRewards: 'group' });
    expectClose([...advantages], golden.grpo_like.flat(), 1e-12);
  });

  test('by the deviation of the batch, and as they are', () => {
    const samples = samplesOf([
      [1, 3],
      [10, 14],
    ]);
    expect([...groupAdvantages(samples, { scaleRewards: 'none' })]).toEqual([-1, 1, -2, 2]);
    // Mean 7 and variance 110 / 3 of 1, 3, 10 and 14.
    const std = Math.sqrt(110 / 3) + 1e-4;
    const expected = [-1, 1, -2, 2].map((distance) => distance / std);
    expectClose([...groupAdvantages(samples, { scaleRewards: 'batch' })], expected, 1e-12);
  });

  test.each<ScaleRewards>(['group', 'batch', 'none'])(
    'are exactly 0 where all rewards of a group are equal, scaled by %s',
    (scaleRewards) => {
      const samples = samplesOf([[0.1, 0.1, 0.1], [0.7], [1, 2]]);
      const advantages = [...groupAdvantages(samples, { scaleRewards })];
      expect(advantages.slice(0, 4)).toEqual([0, 0, 0, 0]);
      expect(Math.abs(advantages[4]!)).toBeGreaterThan(0.1);
      expect(equalGroups(samples)).toBeCloseTo(2 / 3, 12);
    },
  );
});

describe('tokens', () => {
  const responses = fc.array(
    fc.array(fc.double({ min: -5, max: 5, noNaN: true }), { minLength: 1, maxLength: 7 }),
    {
      minLength: 1,
      maxLength: 5,
    },
  );
  const sum = (values: readonly number[]) => values.reduce((a, b) => a + b, 0);
  const mean = (values: readonly number[]) => sum(values) / values.length;
  const MAX = 9;
  const specified: Record<GrpoLossType, (losses: readonly number[][]) => number> = {
    grpo: (losses) => mean(losses.map(mean)),
    dr_grpo: (losses) => sum(losses.flat()) / (losses.length * MAX),
    bnpo: (losses) => mean(losses.flat()),
  };

  test.each(Object.entries(specified))(
    'are weighted so that their mean is the loss of type %s',
    (type, loss) => {
      fc.assert(
        fc.property(responses, (losses) => {
          const lengths = losses.map(({ length }) => length);
          const weights = tokenWeights(lengths, { lossType: type as GrpoLossType, maxLength: MAX });
          const weighted = losses.flatMap((row, i) => row.map((x) => weights[i]! * x));
          expect(mean(weighted)).toBeCloseTo(loss(losses), 9);
        }),
      );
    },
  );
});

/** Over every group of two samples of a prompt, weighted by its probability, at rho = 1. */
describe('in expectation, the gradient of the surrogate is', () => {
  const logits = tf.tensor1d([0.3, -0.8, 1.1]);
  const r = [1, -0.5, 2];
  const pi = tf.softmax(logits).arraySync() as number[];

  const expected = (scaleRewards: ScaleRewards) => {
    const total = [0, 0, 0];
    for (const i of pi.keys()) {
      for (const j of pi.keys()) {
        const samples = [i, j].map((y) => ({ prompt: 'x', reward: r[y]! }));
        const oldLogprobs = tf.gather(tf.logSoftmax(tf.clone(logits)), [i, j]);
        const gradient = tf
          .grad((z: tf.Tensor) => {
            const logprobs = tf.gather(tf.logSoftmax(z), [i, j]);
            return ppoPolicyLoss({
              logprobs,
              oldLogprobs,
              advantages: tf.tensor1d([...groupAdvantages(samples, { scaleRewards })]),
              mask: tf.ones([2]),
              cliprange: 0.2,
              normaliser: 2,
            }).loss;
          })(logits)
          .arraySync() as number[];
        for (const k of total.keys()) total[k]! -= pi[i]! * pi[j]! * gradient[k]!;
      }
    }
    return total;
  };
  const gradientOf = (objective: (z: tf.Tensor) => tf.Scalar) =>
    tf.grad(objective)(logits).arraySync() as number[];

  test('1 - 1/K of the policy gradient, unscaled: each reward is part of the mean', () => {
    const exact = gradientOf((z) => tf.sum(tf.mul(tf.softmax(z), tf.tensor1d(r))));
    expect(Math.hypot(...exact)).toBeGreaterThan(0.1);
    expectClose(
      expected('none'),
      exact.map((x) => x / 2),
      1e-5,
    );
  });

  test('that of another objective, scaled by the group: of two samples, how often one wins', () => {
    // A is 1/sqrt(2) of the better and -1/sqrt(2) of the worse, whatever the distance of their rewards.
    const wins = r.map((x) => r.reduce((sum, y, j) => sum + pi[j]! * Math.sign(x - y), 0));
    const exact = gradientOf((z) => tf.sum(tf.mul(tf.softmax(z), tf.tensor1d(wins))));
    expectClose(
      expected('group'),
      exact.map((x) => x / Math.SQRT2),
      1e-3,
    );
  });
});

test('clip-higher lets a likelier token of a good response go farther than a less likely one of a bad response', () => {
  const loss = (rho: number, A: number) =>
    ppoPolicyLoss({
      logprobs: tf.tensor1d([Math.log(rho)]),
      oldLogprobs: tf.tensor1d([0]),
      advantages: tf.tensor1d([A]),
      mask: tf.tensor1d([1]),
      cliprange: 0.2,
      cliprangeHigh: 0.5,
      normaliser: 1,
    }).loss;
  expectClose(loss(1.4, 1), -1.4, 1e-6);
  expectClose(loss(1.7, 1), -1.5, 1e-6);
  expectClose(loss(0.7, -1), 0.8, 1e-6);
});
