import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, test } from 'vitest';
import { count, expectClose, golden, type Matrix } from './golden.test.support.js';
import { entropyFromLogits, selectiveLogSoftmax } from './logprobs.js';
import { maskedMean } from './masked.js';
import { ppoPolicyLoss, ppoValueLoss } from './ppo.js';

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
