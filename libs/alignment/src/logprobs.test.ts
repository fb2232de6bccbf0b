import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, test } from 'vitest';
import { AlignmentError } from './errors.js';
import { count, expectClose, golden, type Matrix } from './golden.test.support.js';
import { entropyFromLogits, selectiveLogSoftmax } from './logprobs.js';
import { sftLoss } from './sft.js';

interface TokenCase {
  name: string;
  params: { temperature: number };
  inputs: { logits: Matrix[]; token_ids: Matrix; weights: Matrix };
  expected: {
    token_logprobs: Matrix;
    entropy: Matrix;
    d_weighted_logprob_sum_d_logits: Matrix[];
    d_weighted_entropy_sum_d_logits: Matrix[];
  };
}

interface SftCase {
  name: string;
  inputs: { logits: Matrix[]; input_ids: Matrix; loss_mask: Matrix };
  expected: { token_logprobs_shifted: Matrix; sft_loss: number; d_sft_loss_d_logits: Matrix[] };
}

beforeAll(() => tf.setBackend('cpu'));

const cases = golden<TokenCase | SftCase>('logprobs.json');
const tokenCases = cases.filter((c): c is TokenCase => 'token_ids' in c.inputs);
const sftCases = cases.filter((c): c is SftCase => 'loss_mask' in c.inputs);

describe.each(tokenCases)('golden $name', ({ params: { temperature }, inputs, expected }) => {
  const logits = () => tf.tensor3d(inputs.logits);
  const ids = () => tf.tensor2d(inputs.token_ids, undefined, 'int32');
  const weighted = (quantity: (z: tf.Tensor) => tf.Tensor) =>
    tf.grad((z) => tf.sum(tf.mul(inputs.weights, quantity(z))))(logits());

  // float32 rounds the logits themselves by up to 2^-24 of their size before any arithmetic.
  const tolerance = 1e-6 + 2 ** -24 * Math.max(...inputs.logits.flat(2).map(Math.abs));

  test('log-probs and their gradient', () => {
    expectClose(selectiveLogSoftmax(logits(), ids(), temperature), expected.token_logprobs, tolerance);
    const gradient = weighted((z) => selectiveLogSoftmax(z, ids(), temperature));
    expectClose(gradient, expected.d_weighted_logprob_sum_d_logits, 1e-5);
  });

  test('entropy and its gradient', () => {
    expectClose(entropyFromLogits(logits(), temperature), expected.entropy, tolerance);
    const gradient = weighted((z) => entropyFromLogits(z, temperature));
    expectClose(gradient, expected.d_weighted_entropy_sum_d_logits, 1e-5);
  });
});

test.each(sftCases)('golden $name: logits[t] scores input_ids[t + 1]', ({ inputs, expected }) => {
  const ids = tf.tensor2d(inputs.input_ids, undefined, 'int32');
  const [rows, length] = ids.shape;
  const shifted = (z: tf.Tensor) =>
    selectiveLogSoftmax(
      tf.slice(z, [0, 0, 0], [rows, length - 1, -1]),
      tf.slice(ids, [0, 1], [rows, length - 1]),
    );
  const mask = tf.tensor2d(inputs.loss_mask.map((row) => row.slice(1)));
  const normaliser = count(inputs.loss_mask.map((row) => row.slice(1)));
  const loss = (z: tf.Tensor) => sftLoss({ logprobs: shifted(z), mask, normaliser }).loss;

  const { value, grad } = tf.valueAndGrad(loss)(tf.tensor3d(inputs.logits));
  expectClose(shifted(tf.tensor3d(inputs.logits)), expected.token_logprobs_shifted, 1e-6);
  expectClose(value, expected.sft_loss, 1e-6);
  expectClose(grad, expected.d_sft_loss_d_logits, 1e-5);
});

test('the gradient can be differentiated again', () => {
  // d^2 lp_0 / dz^2 = -(diag(p) - p p'), here along the direction u.
  const z = tf.tensor2d([[0.3, -1, 2]]);
  const u = tf.tensor2d([[1, -2, 0.5]]);
  const ids = tf.tensor1d([0], 'int32');
  const gradient = (x: tf.Tensor) => tf.grad((y) => tf.sum(selectiveLogSoftmax(y, ids)))(x);
  const hessianProduct = tf.grad((x) => tf.sum(tf.mul(u, gradient(x))))(z);
  const p = tf.softmax(z);
  const expected = tf.neg(tf.mul(p, tf.sub(u, tf.sum(tf.mul(p, u)))));
  expectClose(hessianProduct, expected.arraySync() as Matrix, 1e-6);
});

test('ids that do not fit the logits are refused', () => {
  const refused = () => selectiveLogSoftmax(tf.zeros([2, 3, 5]), tf.zeros([2, 4], 'int32'));
  expect(refused).toThrow(AlignmentError);
  expect(refused).toThrow('[2,3]');
});
