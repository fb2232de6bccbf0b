import * as tf from '@tensorflow/tfjs';
import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { expectClose, flatten, type Matrix, read } from './golden.test.support.js';
import { ppoPolicyLoss } from './ppo.js';
import { type Baseline, baselineAdvantages, reinforceLoss } from './reinforce.js';

beforeAll(() => tf.setBackend('cpu'));

/** One array a prompt, a number a sample. */
interface Golden {
  rewards: Matrix;
  rloo_advantage: Matrix;
  batch_baseline_advantage: Matrix;
}

const samplesOf = (rewards: Matrix) =>
  rewards.flatMap((row, prompt) => row.map((reward) => ({ prompt: `${prompt}`, reward })));

describe('advantages', () => {
  const golden = read<Golden>('policy_gradient.json');

  test.each([
    ['batch_mean', golden.batch_baseline_advantage],
    ['leave_one_out', golden.rloo_advantage],
  ] as const)('golden %s', (baseline, expected) => {
    expectClose([...baselineAdvantages(samplesOf(golden.rewards), baseline)], expected.flat(), 1e-12);
  });

  test('do not depend on the order of the samples', () => {
    const samples = samplesOf(golden.rewards);
    const places = fc.shuffledSubarray([...samples.keys()], { minLength: samples.length });
    fc.assert(
      fc.property(places, fc.constantFrom<Baseline>('batch_mean', 'leave_one_out'), (order, baseline) => {
        const expected = baselineAdvantages(samples, baseline);
        const shuffled = baselineAdvantages(
          order.map((i) => samples[i]!),
          baseline,
        );
        expectClose(
          [...shuffled],
          order.map((i) => expected[i]!),
          1e-12,
        );
      }),
    );
  });

  test('of a response that nothing is compared with are 0', () => {
    const samples = [...samplesOf([[3, 5]]), { prompt: 'alone', reward: 9 }];
    expect([...baselineAdvantages(samples, 'leave_one_out')]).toEqual([-2, 2, 0]);
    expect([...baselineAdvantages(samples.slice(2), 'batch_mean')]).toEqual([0]);
  });
});

/** Two responses, of two tokens and of one. */
const logprobs = tf.tensor2d([
  [-0.5, -2],
  [-1, -0.1],
]);
const advantages = tf.tensor2d([
  [1.5, 1.5],
  [-2, -2],
]);
const mask = tf.tensor2d([
  [1, 1],
  [1, 0],
]);

test('the gradient of a log-prob is -A by the number of responses, and padding has none', () => {
  const padded = tf.where(tf.greater(mask, 0), logprobs, Number.NEGATIVE_INFINITY);
  const { value, grad } = tf.valueAndGrad(
    (lp: tf.Tensor) => reinforceLoss({ logprobs: lp, advantages, mask, normaliser: 2 }).loss,
  )(padded);
  expectClose(value, -(1.5 * -2.5 + -2 * -1) / 2, 1e-6);
  expectClose(
    grad,
    [
      [-0.75, -0.75],
      [1, 0],
    ],
    1e-6,
  );
});

test('at rho = 1 the gradient of PPO is that of REINFORCE', () => {
  const options = { advantages, mask, normaliser: 3 };
  const oldLogprobs = tf.clone(logprobs);
  const ppo = (lp: tf.Tensor) =>
    ppoPolicyLoss({ ...options, logprobs: lp, oldLogprobs, cliprange: 0.2 }).loss;
  const reinforce = (lp: tf.Tensor) => reinforceLoss({ ...options, logprobs: lp }).loss;
  expectClose(tf.grad(ppo)(logprobs), tf.grad(reinforce)(logprobs).arraySync() as Matrix, 1e-6);
});

test('micro-batches add up to the batch', () => {
  const gradientOf = (rows: readonly number[]) =>
    tf
      .grad((lp: tf.Tensor) => {
        const of = (x: tf.Tensor) => tf.gather(x, [...rows]);
        return reinforceLoss({
          logprobs: of(lp),
          advantages: of(advantages),
          mask: of(mask),
          normaliser: 2,
        }).loss;
      })(logprobs)
      .arraySync() as Matrix;
  const [first, second] = [flatten(gradientOf([0])), flatten(gradientOf([1]))];
  expectClose(
    first.map((x, i) => x + second[i]!),
    flatten(gradientOf([0, 1])),
    1e-6,
  );
});

/**
 * The policy gradient theorem, by enumeration: over every pair of samples of a prompt, weighted by its probability, the gradient
 * of REINFORCE is the gradient of the objective E[r] - beta KL(pi, ref), whose reward depends on the policy itself.
 */
describe('in expectation over all samples of a prompt, the gradient is', () => {
  const logits = tf.tensor1d([0.3, -0.8, 1.1]);
  const ref = tf.logSoftmax(tf.tensor1d([0.5, 0.1, -0.4]));
  const r = tf.tensor1d([1, -0.5, 2]);
  const beta = 0.3;

  const objective = (z: tf.Tensor) => {
    const lp = tf.logSoftmax(z);
    return tf.sum<tf.Scalar>(tf.mul(tf.exp(lp), tf.sub(r, tf.mul(beta, tf.sub(lp, ref)))));
  };
  const rewards = tf.sub(r, tf.mul(beta, tf.sub(tf.logSoftmax(logits), ref))).arraySync() as number[];
  const pi = tf.softmax(logits).arraySync() as number[];

  const expectedGradient = (baseline: Baseline) => {
    const sum = [0, 0, 0];
    for (const i of pi.keys()) {
      for (const j of pi.keys()) {
        const samples = [i, j].map((y) => ({ prompt: 'x', reward: rewards[y]! }));
        const gradient = tf
          .grad((z: tf.Tensor) => {
            const chosen = tf.gather(tf.logSoftmax(z), [i, j]);
            const A = tf.tensor1d([...baselineAdvantages(samples, baseline)]);
            return reinforceLoss({ logprobs: chosen, advantages: A, mask: tf.ones([2]), normaliser: 2 }).loss;
          })(logits)
          .arraySync() as number[];
        for (const k of sum.keys()) sum[k]! -= pi[i]! * pi[j]! * gradient[k]!;
      }
    }
    return sum;
  };

  test.each([
    ['the policy gradient', 'leave_one_out', 1],
    ['half of it, from two samples', 'batch_mean', 1 / 2],
  ] as const)('%s with the baseline %s', (_, baseline, share) => {
    const gradient = tf.grad(objective)(logits).arraySync() as number[];
    expect(Math.hypot(...gradient)).toBeGreaterThan(0.1);
    expectClose(
      expectedGradient(baseline),
      gradient.map((x) => share * x),
      1e-5,
    );
  });
});
