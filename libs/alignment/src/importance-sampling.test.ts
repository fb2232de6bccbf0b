import * as tf from '@tensorflow/tfjs';
import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { count, expectClose, golden, type Matrix, ragged } from './golden.test.support.js';
import { truncatedImportanceWeights } from './importance-sampling.js';
import { ppoPolicyLoss } from './ppo.js';

interface Case {
  name: string;
  params: { cliprange: number; cap: number };
  inputs: Record<'mask' | 'logprobs' | 'proximal_logprobs' | 'behaviour_logprobs' | 'advantages', Matrix>;
  expected: {
    weights: Matrix;
    truncated: number[];
    loss: number;
    gradients: { d_loss_d_logprobs: Matrix };
  };
}

beforeAll(() => tf.setBackend('cpu'));

const weightsOf = (proximalLogprobs: number[], behaviourLogprobs: number[], cap: number) =>
  truncatedImportanceWeights({ proximalLogprobs, behaviourLogprobs }, { cap });

describe.each(golden<Case>('importance_sampling.json'))('golden $name', ({ params, inputs, expected }) => {
  const { cap, cliprange } = params;
  const { mask } = inputs;
  const behaviour = ragged(inputs.behaviour_logprobs, mask);
  const computed = ragged(inputs.proximal_logprobs, mask).map((row, b) => weightsOf(row, behaviour[b]!, cap));

  test('weights, and how many the cap cut', () => {
    expectClose(
      computed.map(({ weights }) => [...weights]),
      ragged(expected.weights, mask),
      1e-12,
    );
    expect(computed.map(({ truncated }) => truncated)).toEqual(expected.truncated);
  });

  test('the decoupled loss and its gradient', () => {
    const loss = (logprobs: tf.Tensor) =>
      ppoPolicyLoss({
        logprobs,
        oldLogprobs: tf.tensor2d(inputs.proximal_logprobs),
        advantages: tf.tensor2d(inputs.advantages),
        weights: tf.tensor2d(expected.weights),
        mask: tf.tensor2d(mask),
        cliprange,
        normaliser: count(mask),
      }).loss;
    const { value, grad } = tf.valueAndGrad(loss)(tf.tensor2d(inputs.logprobs));
    expectClose(value, expected.loss, 1e-6);
    expectClose(grad, expected.gradients.d_loss_d_logprobs, 1e-6);
  });
});

const logprob = fc.double({ min: -20, max: 0, noNaN: true });
const cap = fc.double({ min: 1, max: 10, noNaN: true });

describe('weights', () => {
  test('are 1 on-policy, to the bit, at any cap', () => {
    fc.assert(
      fc.property(fc.array(logprob), cap, (logprobs, cap) => {
        const { weights, truncated } = weightsOf(logprobs, logprobs, cap);
        expect([...weights]).toEqual(logprobs.map(() => 1));
        expect(truncated).toBe(0);
      }),
    );
  });

  test('are positive, at most the cap, and the plain ratio below it', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(logprob, logprob)), cap, (tokens, cap) => {
        const { weights, truncated } = weightsOf(
          tokens.map(([proximal]) => proximal),
          tokens.map(([, behaviour]) => behaviour),
          cap,
        );
        const ratios = tokens.map(([proximal, behaviour]) => Math.exp(proximal - behaviour));
        expect(Math.max(0, ...weights)).toBeLessThanOrEqual(cap);
        weights.forEach((weight, t) => {
          expect(weight).toBeGreaterThan(0);
          if (ratios[t]! <= cap) expect(weight).toBe(ratios[t]);
        });
        expect(truncated).toBe(ratios.filter((ratio) => ratio > cap).length);
      }),
    );
  });

  test('turn an expectation under the older policy into one under the newer', () => {
    const behaviour = [0.5, 0.3, 0.15, 0.05];
    const proximal = [0.2, 0.3, 0.1, 0.4];
    const f = [1, -2, 4, 0.5];
    const expectation = (cap: number) => {
      const { weights } = weightsOf(proximal.map(Math.log), behaviour.map(Math.log), cap);
      return behaviour.reduce((sum, p, y) => sum + p * weights[y]! * f[y]!, 0);
    };
    const exact = proximal.reduce((sum, p, y) => sum + p * f[y]!, 0);
    expect(expectation(Number.POSITIVE_INFINITY)).toBeCloseTo(exact, 12);
    // Only the last outcome, eight times as likely by now, is cut: from 8 to 2.
    expect(expectation(2)).toBeCloseTo(exact - 0.05 * (8 - 2) * 0.5, 12);
  });

  test.each([
    ['log-probs of another response', [-1, -2], [-1], 2, 'ALIGNMENT_SHAPE'],
    ['no number', [Number.NaN], [-1], 2, 'ALIGNMENT_NOT_FINITE'],
    [
      'a token that the older policy could not draw',
      [-1],
      [Number.NEGATIVE_INFINITY],
      2,
      'ALIGNMENT_NOT_FINITE',
    ],
    ['a cap that would weigh on-policy tokens', [-1], [-1], 0.5, 'ALIGNMENT_OPTION'],
    ['a cap that is no number', [-1], [-1], Number.NaN, 'ALIGNMENT_OPTION'],
  ])('refuse %s', (_, proximal, behaviour, cap, code) => {
    expect(() => weightsOf(proximal, behaviour, cap)).toThrow(expect.objectContaining({ code }));
  });
});

test('weights of 1 leave loss, statistics and gradient of PPO as they are, to the bit', () => {
  const row = fc.array(logprob, { minLength: 4, maxLength: 4 });
  const rows = fc.array(row, { minLength: 2, maxLength: 2 });
  fc.assert(
    fc.property(rows, rows, rows, (logprobs, old, A) => {
      tf.tidy(() => {
        const of = (more: { weights?: tf.Tensor }) => (logprobs: tf.Tensor) =>
          ppoPolicyLoss({
            logprobs,
            oldLogprobs: tf.tensor2d(old),
            advantages: tf.add(tf.tensor2d(A), 10),
            mask: tf.ones([2, 4]),
            cliprange: 0.2,
            normaliser: 8,
            ...more,
          });
        const result = (more: { weights?: tf.Tensor }) => {
          const { value, grad } = tf.valueAndGrad((lp: tf.Tensor) => of(more)(lp).loss)(
            tf.tensor2d(logprobs),
          );
          const stats = Object.values(of(more)(tf.tensor2d(logprobs)).stats);
          return [value, grad, ...stats].map((tensor) => tensor.arraySync());
        };
        expect(result({ weights: tf.ones([2, 4]) })).toEqual(result({}));
      });
    }),
    { numRuns: 20 },
  );
});
