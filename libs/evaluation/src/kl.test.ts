import { expect, test } from 'vitest';
import { sequenceKl } from './kl.js';

test('both estimators sum over tokens and average over rollouts', () => {
  const { k1, k3 } = sequenceKl([
    { logprobs: Float32Array.of(-0.5, -1, -2), refLogprobs: Float32Array.of(-0.6, -0.7, -2.25) },
    { logprobs: [-1, -0.25], refLogprobs: [-1.5, -0.3] },
    { logprobs: [-3], refLogprobs: [-2.8] },
  ]);
  // d = [.1, -.3, .25], [.5, .05], [-.2]; scipy.stats.ttest_1samp(sums, 0).confidence_interval(), SciPy 1.17.1
  expect(k1.mean).toBeCloseTo(0.13333333, 6);
  expect(k1.low).toBeCloseTo(-0.81531243, 6);
  expect(k1.high).toBeCloseTo(1.08197909, 6);
  // sums of exp(-d) - 1 + d
  expect(k3.mean).toBeCloseTo(0.07088662, 6);
  expect(k3.low).toBeCloseTo(-0.03975274, 6);
  expect(k3.high).toBeCloseTo(0.18152598, 6);
});

test('both estimators have the same expectation: the exact KL of an enumerable policy', () => {
  const policy = [0.5, 0.25, 0.125, 0.125];
  const reference = [0.125, 0.5, 0.25, 0.125];
  const exact = policy.reduce((sum, p, i) => sum + p * Math.log(p / reference[i]!), 0);
  // Each token as often as the policy would draw it: eight draws are the whole distribution.
  const rollouts = policy.flatMap((p, i) =>
    Array.from({ length: 8 * p }, () => ({
      logprobs: [Math.log(p)],
      refLogprobs: [Math.log(reference[i]!)],
    })),
  );
  const { k1, k3 } = sequenceKl(rollouts);
  expect(k1.mean).toBeCloseTo(exact, 12);
  expect(k3.mean).toBeCloseTo(exact, 12);
});

test('an empty rollout has no KL; unequal or infinite log-probs are refused', () => {
  expect(sequenceKl([{ logprobs: [], refLogprobs: [] }]).k1.mean).toBe(0);
  expect(() => sequenceKl([{ logprobs: [-1, -2], refLogprobs: [-1] }])).toThrow(
    expect.objectContaining({ code: 'EVALUATION_LENGTH_MISMATCH' }),
  );
  expect(() => sequenceKl([{ logprobs: [-1], refLogprobs: [-Infinity] }])).toThrow(
    expect.objectContaining({ code: 'EVALUATION_NOT_FINITE' }),
  );
});
