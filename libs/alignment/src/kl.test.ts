import * as tf from '@tensorflow/tfjs';
import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { count, expectClose, golden, type Matrix } from './golden.test.support.js';
import { categoricalKl, type KlEstimator, klEstimate, klEstimates, klLoss } from './kl.js';
import { maskedMean } from './masked.js';

interface EstimatorCase {
  name: KlEstimator;
  inputs: { logprobs: Matrix; ref_logprobs: Matrix; mask: Matrix };
  expected: { per_token: Matrix; masked_mean: number; d_masked_mean_d_logprobs: Matrix };
}

interface CategoricalCase {
  name: 'full_categorical';
  inputs: { logits: Matrix; ref_logits: Matrix };
  expected: {
    kl_policy_ref: number[];
    kl_ref_policy: number[];
    d_sum_kl_policy_ref_d_logits: Matrix;
    d_sum_kl_ref_policy_d_logits: Matrix;
  };
}

beforeAll(() => tf.setBackend('cpu'));

const cases = golden<EstimatorCase | CategoricalCase>('kl.json');
const estimators = cases.filter((c): c is EstimatorCase => ['k1', 'k2', 'k3'].includes(c.name));
const categorical = cases.find((c): c is CategoricalCase => c.name === 'full_categorical')!;

describe.each(estimators)('golden $name', ({ name, inputs, expected }) => {
  test('per token, on numbers', () => {
    const perToken = inputs.logprobs.map((row, b) =>
      row.map((lp, t) => klEstimate(name, lp, inputs.ref_logprobs[b]![t]!)),
    );
    expectClose(perToken, expected.per_token, 1e-12);
  });

  test('masked mean and its gradient, on tensors', () => {
    const mask = tf.tensor2d(inputs.mask);
    const f = (lp: tf.Tensor) =>
      maskedMean(klEstimates(name, lp, tf.tensor2d(inputs.ref_logprobs)), mask, count(inputs.mask));
    const { value, grad } = tf.valueAndGrad(f)(tf.tensor2d(inputs.logprobs));
    expectClose(value, expected.masked_mean, 1e-6);
    expectClose(grad, expected.d_masked_mean_d_logprobs, 1e-5);
  });
});

test('golden full_categorical: exact KL both ways and its gradient', () => {
  const logits = tf.tensor2d(categorical.inputs.logits);
  const refLogits = tf.tensor2d(categorical.inputs.ref_logits);
  const { expected } = categorical;
  expectClose(categoricalKl(logits, refLogits), expected.kl_policy_ref, 1e-6);
  expectClose(categoricalKl(refLogits, logits), expected.kl_ref_policy, 1e-6);
  const forward = tf.grad((z) => tf.sum(categoricalKl(z, refLogits)))(logits);
  const reverse = tf.grad((z) => tf.sum(categoricalKl(refLogits, z)))(logits);
  expectClose(forward, expected.d_sum_kl_policy_ref_d_logits, 1e-5);
  expectClose(reverse, expected.d_sum_kl_ref_policy_d_logits, 1e-5);
});

const logits = fc.array(fc.double({ min: -8, max: 8, noNaN: true }), { minLength: 5, maxLength: 5 });

test('k3 is never negative', () => {
  const logprob = fc.double({ min: -30, max: 0, noNaN: true });
  fc.assert(fc.property(logprob, logprob, (lp, rp) => klEstimate('k3', lp, rp) >= 0));
});

test('under the policy, the expectations of k1 and k3 are the exact KL', () => {
  fc.assert(
    fc.property(logits, logits, (z, refZ) => {
      const lp = logSoftmax(z);
      const rp = logSoftmax(refZ);
      const expectation = (estimator: KlEstimator) =>
        lp.reduce((sum, l, v) => sum + Math.exp(l) * klEstimate(estimator, l, rp[v]!), 0);
      const kl = expectation('k1');
      expect(expectation('k3')).toBeCloseTo(kl, 8);
      expectClose(categoricalKl(tf.tensor1d(z), tf.tensor1d(refZ)), kl, 1e-5);
    }),
  );
});

describe('in expectation over tokens of the policy, the gradient of the loss', () => {
  const z = tf.tensor1d([0.3, -0.8, 1.1]);
  const refZ = tf.tensor1d([1.2, 0.1, -0.4]);
  const pi = tf.softmax(z);
  const mask = tf.ones([3]);
  /** Every token once, weighted by its probability, which the loss does not differentiate. */
  const expected = (estimator: KlEstimator) =>
    tf.grad((logits: tf.Tensor) => {
      const [logprobs, refLogprobs] = [tf.logSoftmax(logits), tf.logSoftmax(refZ)];
      if (estimator === 'k1') return tf.sum(tf.mul(pi, klEstimates('k1', logprobs, refLogprobs)));
      return klLoss({ logprobs, refLogprobs, weights: pi, mask, estimator, normaliser: 1 }).loss;
    })(z);

  test('k2 is that of KL(pi, ref)', () => {
    const exact = tf
      .grad((logits: tf.Tensor) => categoricalKl(logits, refZ))(z)
      .arraySync() as number[];
    expect(Math.hypot(...exact)).toBeGreaterThan(0.1);
    expectClose(expected('k2'), exact, 1e-6);
  });

  test('k3 is that of KL(ref, pi), another one', () => {
    const exact = tf
      .grad((logits: tf.Tensor) => categoricalKl(refZ, logits))(z)
      .arraySync() as number[];
    expectClose(expected('k3'), exact, 1e-6);
    const other = tf
      .grad((logits: tf.Tensor) => categoricalKl(logits, refZ))(z)
      .arraySync() as number[];
    expect(Math.max(...exact.map((x, i) => Math.abs(x - other[i]!)))).toBeGreaterThan(0.05);
  });

  test('k1 is 0: it would hold nothing back', () => {
    expectClose(expected('k1'), [0, 0, 0], 1e-6);
  });
});

test('what stands in padding has no part in the loss', () => {
  const loss = (lp: tf.Tensor) =>
    klLoss({
      logprobs: lp,
      refLogprobs: tf.tensor1d([-1, 5]),
      mask: tf.tensor1d([1, 0]),
      estimator: 'k3',
      normaliser: 1,
    }).loss;
  const { value, grad } = tf.valueAndGrad(loss)(tf.tensor1d([-2, -1e9]));
  expectClose(value, klEstimate('k3', -2, -1), 1e-6);
  expectClose(grad, [1 - Math.E, 0], 1e-6);
});

function logSoftmax(z: number[]): number[] {
  const max = Math.max(...z);
  const logZ = max + Math.log(z.reduce((sum, x) => sum + Math.exp(x - max), 0));
  return z.map((x) => x - logZ);
}
