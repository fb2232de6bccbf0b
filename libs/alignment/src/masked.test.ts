import * as tf from '@tensorflow/tfjs';
import { beforeAll, expect, test } from 'vitest';
import { expectClose } from './golden.test.support.js';
import { pairwiseSum, zeroOutside } from './masked.js';

beforeAll(() => tf.setBackend('cpu'));

test.each([1, 31, 32, 33, 100, 1025])('pairwiseSum of %i terms and its gradient', (length) => {
  const rows = [0, 1, 2].map((b) => Array.from({ length }, (_, t) => Math.sin(b + t)));
  const x = tf.tensor2d(rows);
  expectClose(
    pairwiseSum(x),
    rows.map((row) => row.reduce((sum, term) => sum + term, 0)),
    1e-6,
  );
  const gradient = tf.grad((y) => tf.sum(tf.mul(pairwiseSum(y), [1, 2, 3])))(x);
  expectClose(
    gradient,
    [1, 2, 3].map((weight) => new Array<number>(length).fill(weight)),
    0,
  );
});

test('what stands in padding has neither value nor gradient', () => {
  const mask = tf.tensor1d([1, 0, 0]);
  const f = (x: tf.Tensor) => tf.sum(tf.square(zeroOutside(x, mask)));
  const { value, grad } = tf.valueAndGrad(f)(tf.tensor1d([3, Number.NaN, Number.POSITIVE_INFINITY]));
  expect(value.arraySync()).toBe(9);
  expect(grad.arraySync()).toEqual([6, 0, 0]);
});
