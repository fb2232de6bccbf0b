import * as tf from '@tensorflow/tfjs';
import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { count, expectClose, golden, type Matrix } from './golden.test.support.js';
import { categoricalKl } from './kl.js';
import { entropyFromLogits, selectiveLogSoftmax } from './logprobs.js';
import { maskedMean } from './masked.js';
import { adaptPenalty, ppoPenaltyLoss, ppoPolicyLoss, ppoValueLoss } from './ppo.js';

interface Case {
  name: string;
  params: { cliprange: number; cliprange_value: number; vf_coef: number; temperature: number };
  inputs: Record<
    | 'mask'
    | 'value_mask'
    | 'responses'
    | 'new_logprobs'
    | 'old_logprobs'
    | 'advantages'
    | 'old_values'
    | 'vpred'
    | 'returns',
    Matrix
  > & { logits: Matrix[] };
  expected: {
    loss: number;
    pg_loss: number;
    vf_loss: number;
    pg_clipfrac: number;
    vf_clipfrac: number;
    approx_kl_k2_masked: number;
    entropy_masked: number;
    ratio_mean_masked: number;
    ratio: Matrix;
    gradients: { d_loss_d_vpred: Matrix; d_loss_d_new_logprobs: Matrix; d_loss_d_logits?: Matrix[] };
  };
}

beforeAll(() => tf.setBackend('cpu'));

const cases = golden<Case>('ppo_loss.json');

const policyLoss = (logprobs: tf.Tensor, { params, inputs }: Pick<Case, 'params' | 'inputs'>) =>
  ppoPolicyLoss({
    logprobs,
    oldLogprobs: tf.tensor2d(inputs.old_logprobs),
    advantages: tf.tensor2d(inputs.advantages),
    mask: tf.tensor2d(inputs.mask),
    cliprange: params.cliprange,
    normaliser: count(inputs.mask),
  });

describe.each(cases)('golden $name', ({ params, inputs, expected }) => {
  const policy = (logprobs: tf.Tensor) => policyLoss(logprobs, { params, inputs });
  const value = (values: tf.Tensor) =>
    ppoValueLoss({
      values,
      oldValues: tf.tensor2d(inputs.old_values),
      returns: tf.tensor2d(inputs.returns),
      mask: tf.tensor2d(inputs.value_mask),
      cliprangeValue: params.cliprange_value,
      normaliser: count(inputs.value_mask),
    });

  test('policy loss, value loss and their gradients', () => {
    const total = (logprobs: tf.Tensor, values: tf.Tensor) =>
      tf.add<tf.Scalar>(policy(logprobs).loss, tf.mul(params.vf_coef, value(values).loss));
    const inputsOfLoss = [tf.tensor2d(inputs.new_logprobs), tf.tensor2d(inputs.vpred)];
    const { value: loss, grads } = tf.valueAndGrads(total)(inputsOfLoss);
    expectClose(loss, expected.loss, 1e-6);
    expectClose(policy(inputsOfLoss[0]!).loss, expected.pg_loss, 1e-6);
    expectClose(value(inputsOfLoss[1]!).loss, expected.vf_loss, 1e-6);
    expectClose(grads[0]!, expected.gradients.d_loss_d_new_logprobs, 1e-5);
    expectClose(grads[1]!, expected.gradients.d_loss_d_vpred, 1e-5);
  });

  test('diagnostics', () => {
    const { stats } = policy(tf.tensor2d(inputs.new_logprobs));
    expectClose(stats.clipfrac, expected.pg_clipfrac, 1e-6);
    expectClose(stats.approxKl, expected.approx_kl_k2_masked, 1e-6);
    expectClose(stats.ratio, expected.ratio_mean_masked, 1e-6);
    expectClose(value(tf.tensor2d(inputs.vpred)).stats.clipfrac, expected.vf_clipfrac, 1e-6);
    const entropy = entropyFromLogits(tf.tensor3d(inputs.logits), params.temperature);
    expectClose(
      maskedMean(entropy, tf.tensor2d(inputs.mask), count(inputs.mask)),
      expected.entropy_masked,
      1e-6,
    );
  });

  test('log-probs in padding do not matter', () => {
    const spoilt = inputs.new_logprobs.map((row, b) =>
      row.map((lp, t) => (inputs.mask[b]![t] === 1 ? lp : 1e9)),
    );
    const { value: loss, grad } = tf.valueAndGrad((lp: tf.Tensor) => policy(lp).loss)(tf.tensor2d(spoilt));
    expectClose(loss, expected.pg_loss, 1e-6);
    expectClose(grad, expected.gradients.d_loss_d_new_logprobs, 1e-5);
  });
});

const fromLogits = cases.filter(({ expected }) => expected.gradients.d_loss_d_logits !== undefined);

test.each(fromLogits)('golden $name: gradient with respect to the logits', ({ params, inputs, expected }) => {
  const responses = tf.tensor2d(inputs.responses, undefined, 'int32');
  const loss = (logits: tf.Tensor) =>
    policyLoss(selectiveLogSoftmax(logits, responses, params.temperature), { params, inputs }).loss;
  const gradient = tf.grad(loss)(tf.tensor3d(inputs.logits));
  expectClose(gradient, expected.gradients.d_loss_d_logits!, 1e-5);
});

test('at rho = 1 the loss is the mean of -A and its gradient that of REINFORCE', () => {
  const logits = tf.tensor3d([
    [
      [0.2, -1, 0.5],
      [1, 2, 3],
    ],
    [
      [0, 0, 1],
      [-1, 0.3, 0.1],
    ],
  ]);
  const responses = tf.tensor2d(
    [
      [0, 2],
      [1, 1],
    ],
    undefined,
    'int32',
  );
  const A = tf.tensor2d([
    [1.5, -2],
    [0.3, 9],
  ]);
  const mask = tf.tensor2d([
    [1, 1],
    [1, 0],
  ]);
  const oldLogprobs = selectiveLogSoftmax(logits, responses);
  const ppo = tf.valueAndGrad((z: tf.Tensor) => {
    const logprobs = selectiveLogSoftmax(z, responses);
    return ppoPolicyLoss({ logprobs, oldLogprobs, advantages: A, mask, cliprange: 0.2, normaliser: 3 }).loss;
  })(logits);
  const reinforce = tf.grad((z: tf.Tensor) =>
    tf.neg(maskedMean(tf.mul(A, selectiveLogSoftmax(z, responses)), mask, 3)),
  )(logits);
  expectClose(ppo.value, -(1.5 - 2 + 0.3) / 3, 1e-6);
  expectClose(ppo.grad, reinforce.arraySync() as Matrix[], 1e-6);
});

/** The loss of single tokens, and its slope in the log-prob of each. */
function tokenwise(loss: (logprobs: tf.Tensor, oldLogprobs: tf.Tensor) => tf.Scalar, ratios: number[]) {
  const { value, grad } = tf.valueAndGrad((lp: tf.Tensor) => loss(lp, tf.zeros([ratios.length])))(
    tf.tensor1d(ratios.map(Math.log)),
  );
  return { value: value.arraySync(), slopes: grad.arraySync() as number[] };
}
const clipLoss =
  (advantages: number[], options: { cliprangeHigh?: number; dualClip?: number; cliprange?: number } = {}) =>
  (logprobs: tf.Tensor, oldLogprobs: tf.Tensor) =>
    ppoPolicyLoss({
      logprobs,
      oldLogprobs,
      advantages: tf.tensor1d(advantages),
      mask: tf.onesLike(oldLogprobs),
      cliprange: 0.2,
      normaliser: 1,
      ...options,
    }).loss;

describe('clip-higher', () => {
  test('lets the ratio rise to 1 + eps_high, and fall to 1 - eps', () => {
    const slopesAt = (ratio: number, A: number) =>
      tokenwise(clipLoss([A], { cliprangeHigh: 0.28 }), [ratio]).slopes[0]!;
    expect(slopesAt(1.25, 1)).toBeCloseTo(-1.25, 5);
    expect(slopesAt(1.29, 1)).toBe(0);
    expect(slopesAt(0.79, -1)).toBe(0);
    expect(slopesAt(0.81, -1)).toBeCloseTo(0.81, 5);
  });
});

const token = fc.record({
  ratio: fc.double({ min: 0.05, max: 20, noNaN: true }),
  A: fc.double({ min: -3, max: 3, noNaN: true }),
});

describe('dual clip', () => {
  test('bounds the loss of a token with negative advantage by -c A, and changes no other', () => {
    fc.assert(
      fc.property(token, fc.double({ min: 1.01, max: 5, noNaN: true }), ({ ratio, A }, c) => {
        const plain = tokenwise(clipLoss([A]), [ratio]);
        const dual = tokenwise(clipLoss([A], { dualClip: c }), [ratio]);
        const expected = A < 0 ? Math.min(plain.value, -c * A) : plain.value;
        expect(Math.abs(dual.value - expected)).toBeLessThan(1e-4);
        if (A < -0.01 && ratio > 1.01 * Math.max(c, 1.2)) expect(dual.slopes).toEqual([0]);
        if (A > 0 || ratio < 0.99 * c) expect(dual.slopes).toEqual(plain.slopes);
      }),
    );
  });
});

describe('the penalty', () => {
  const penalty = (advantages: number[], beta: number) => (logprobs: tf.Tensor, oldLogprobs: tf.Tensor) =>
    ppoPenaltyLoss({
      logprobs,
      oldLogprobs,
      advantages: tf.tensor1d(advantages),
      mask: tf.onesLike(oldLogprobs),
      beta,
      normaliser: 2,
    }).loss;

  test('at rho = 1 the loss is the mean of -A, and its slope -A: that of REINFORCE, whatever beta is', () => {
    const { value, slopes } = tokenwise(penalty([1.5, -2], 7), [1, 1]);
    expect(value).toBeCloseTo(0.25, 6);
    expectClose(slopes, [-0.75, 1], 1e-6);
  });

  test('of weight 0 is the surrogate without a clip', () => {
    const ratios = [0.3, 4];
    const unclipped = tokenwise(clipLoss([1.5, -2], { cliprange: 1e9 }), ratios);
    const { value, slopes } = tokenwise(penalty([1.5, -2], 0), ratios);
    expect(2 * value).toBeCloseTo(unclipped.value, 5);
    expectClose(
      slopes.map((slope) => 2 * slope),
      unclipped.slopes,
      1e-5,
    );
  });

  test('has in expectation over old tokens the value and the gradient of KL(old, pi)', () => {
    const old = tf.tensor2d([[0.3, -1, 2, 0.1]]);
    const logits = tf.tensor2d([[-0.5, 0.7, 1, 0.9]]);
    const tokens = tf.range(0, 4, 1, 'int32');
    /** Every token as often as the old policy draws it. */
    const expectation = (z: tf.Tensor, estimate: (logratio: tf.Tensor) => tf.Tensor) => {
      const logprobs = selectiveLogSoftmax(tf.tile(z, [4, 1]), tokens);
      const oldLogprobs = selectiveLogSoftmax(tf.tile(old, [4, 1]), tokens);
      return tf.sum(tf.mul(tf.exp(oldLogprobs), estimate(tf.sub(logprobs, oldLogprobs)))) as tf.Scalar;
    };
    const kl = (z: tf.Tensor) => {
      const logprobs = selectiveLogSoftmax(tf.tile(z, [4, 1]), tokens);
      const oldLogprobs = selectiveLogSoftmax(tf.tile(old, [4, 1]), tokens);
      const [weights, none] = [tf.exp(oldLogprobs), tf.zeros([4])];
      const batch = { logprobs, oldLogprobs, advantages: none, weights, mask: tf.ones([4]) };
      return ppoPenaltyLoss({ ...batch, beta: 1, normaliser: 1 }).loss;
    };
    const exact = tf.valueAndGrad((z: tf.Tensor) => tf.sum(categoricalKl(old, z)))(logits);
    const sampled = tf.valueAndGrad(kl)(logits);
    expectClose(sampled.value, exact.value.arraySync() as number, 1e-5);
    expectClose(sampled.grad, exact.grad.arraySync() as Matrix, 1e-5);

    const k2 = tf.valueAndGrad((z: tf.Tensor) => expectation(z, (d) => tf.div(tf.square(d), 2)))(logits);
    expect(Math.abs((k2.value.arraySync() as number) - (exact.value.arraySync() as number))).toBeGreaterThan(
      0.02,
    );
    const apart = tf.max(tf.abs(tf.sub(k2.grad, exact.grad))).arraySync() as number;
    expect(apart).toBeGreaterThan(0.02);
  });

  test('halves beta below target / 1.5, doubles it above 1.5 target, and leaves it between', () => {
    const after = (kl: number) => adaptPenalty(3, { kl, target: 0.03 });
    expect([0, 0.0199, 0.0201, 0.03, 0.0449, 0.0451, 9].map(after)).toEqual([1.5, 1.5, 3, 3, 3, 6, 6]);
    expect(() => after(Number.NaN)).toThrow(expect.objectContaining({ code: 'ALIGNMENT_NOT_FINITE' }));
  });
});
