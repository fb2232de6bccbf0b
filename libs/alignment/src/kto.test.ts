import * as tf from '@tensorflow/tfjs';
import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { expectClose, golden } from './golden.test.support.js';
import { ktoLoss, mismatchedKl } from './kto.js';

interface KtoCase {
  name: string;
  params: { beta: number; desirable_weight: number; undesirable_weight: number };
  inputs: Record<'policy_logps' | 'ref_logps' | 'policy_kl_logps' | 'ref_kl_logps' | 'labels', number[]>;
  expected: {
    kl: number;
    losses: number[];
    loss: number;
    d_policy: number[];
    chosen_rewards: number[];
    rejected_rewards: number[];
  };
}

beforeAll(() => tf.setBackend('cpu'));

const sum = (xs: readonly number[]) => xs.reduce((a, b) => a + b, 0);
const difference = (a: readonly number[], b: readonly number[]) => a.map((x, i) => x - b[i]!);

describe.each(golden<KtoCase>('kto.json'))('golden $name', ({ params, inputs, expected }) => {
  const kl = mismatchedKl(difference(inputs.policy_kl_logps, inputs.ref_kl_logps));
  const rows = inputs.labels.length;
  const kto = (logps: tf.Tensor, mask?: tf.Tensor) =>
    ktoLoss({
      responses: { logps, logratios: tf.sub(logps, tf.tensor1d(inputs.ref_logps)) },
      labels: tf.tensor1d(inputs.labels),
      kl,
      beta: params.beta,
      desirableWeight: params.desirable_weight,
      undesirableWeight: params.undesirable_weight,
      ...(mask && { mask }),
      normaliser: rows,
    });
  const logps = () => tf.tensor1d(inputs.policy_logps);

  test('KL, loss and gradient', () => {
    expect(kl).toBeCloseTo(expected.kl, 12);
    const { value, grad } = tf.valueAndGrad((x: tf.Tensor) => kto(x).loss)(logps());
    expectClose(value, expected.loss, 1e-6);
    expectClose(grad, expected.d_policy, 1e-6);
  });

  test('the losses of single rows', () => {
    expected.losses.forEach((loss, row) => {
      const alone = tf.oneHot(row, rows).cast('float32');
      expectClose(kto(logps(), alone).loss, loss / rows, 1e-6);
    });
  });

  test('statistics are the shares of desirable and undesirable rows in the means', () => {
    const { stats } = kto(logps());
    expectClose(stats.rewardsChosen, sum(expected.chosen_rewards) / rows, 1e-6);
    expectClose(stats.rewardsRejected, sum(expected.rejected_rewards) / rows, 1e-6);
    const up = inputs.policy_logps.filter((_, i) => inputs.labels[i] === 1);
    expectClose(stats.logpsChosen, sum(up) / rows, 1e-6);
    expectClose(stats.logpsRejected, (sum(inputs.policy_logps) - sum(up)) / rows, 1e-6);
  });
});

const number = fc.double({ min: -5, max: 5, noNaN: true });
const lossOf = (logratio: number, label: 0 | 1, kl: number, weights: object = {}) =>
  tf.tidy(() => {
    const responses = { logps: tf.tensor1d([-9]), logratios: tf.tensor1d([logratio]) };
    const options = { responses, labels: tf.tensor1d([label]), kl, beta: 0.5, normaliser: 1, ...weights };
    return ktoLoss(options).loss.dataSync()[0]!;
  });

test('a thumb up loses what a thumb down of the opposite log-ratio about the KL does', () => {
  fc.assert(
    fc.property(number, fc.double({ min: 0, max: 5, noNaN: true }), (logratio, kl) => {
      expectClose(lossOf(kl + logratio, 1, kl), lossOf(kl - logratio, 0, kl), 1e-5);
      // The two losses of one response, with a thumb up and with a thumb down, add up to 1.
      expectClose(lossOf(logratio, 1, kl) + lossOf(logratio, 0, kl), 1, 1e-5);
    }),
    { numRuns: 50 },
  );
});

test('thumbs up pull up, thumbs down push down, each by its weight', () => {
  fc.assert(
    fc.property(number, number, fc.double({ min: 0.1, max: 3, noNaN: true }), (logratio, kl, weight) => {
      const gradient = (label: 0 | 1, weights: object) =>
        tf.tidy(() =>
          tf
            .grad(
              (x: tf.Tensor) =>
                ktoLoss({
                  responses: { logps: x, logratios: x },
                  labels: tf.tensor1d([label]),
                  kl,
                  beta: 0.5,
                  normaliser: 1,
                  ...weights,
                }).loss,
            )(tf.tensor1d([logratio]))
            .dataSync(),
        )[0]!;
      const [up, down] = [gradient(1, {}), gradient(0, {})];
      expect(up).toBeLessThan(0);
      expectClose(down, -up, 1e-6);
      expectClose(gradient(1, { desirableWeight: weight }), weight * up, 1e-6);
      expectClose(gradient(0, { undesirableWeight: weight }), weight * down, 1e-6);
    }),
    { numRuns: 50 },
  );
});

test('a policy that is its reference loses one half of each weight', () => {
  expect(mismatchedKl([0, 0, 0])).toBe(0);
  expectClose(lossOf(0, 1, 0, { desirableWeight: 3 }), 1.5, 1e-6);
  expectClose(lossOf(0, 0, 0, { undesirableWeight: 2 }), 1, 1e-6);
});

test('an estimate of KL below 0 is 0, and one of nothing is refused', () => {
  expect(mismatchedKl([1, -4])).toBe(0);
  expect(mismatchedKl([1, 3])).toBe(2);
  expect(() => mismatchedKl([])).toThrow('log-ratios');
});

test('a beta that is not positive and weights below 0 are refused', () => {
  expect(() => lossOf(0, 1, 0, { beta: 0 })).toThrow('beta');
  expect(() => lossOf(0, 1, 0, { undesirableWeight: -1 })).toThrow('weights');
});
