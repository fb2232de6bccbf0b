import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { combineScores, requireFinite, weighedSum } from './combine.js';

const scores = fc.array(fc.double({ min: -1e6, max: 1e6, noNaN: true }), { minLength: 1, maxLength: 8 });

describe('an ensemble', () => {
  it.each([
    ['mean', 0, 2],
    ['worst_case', 0, -1],
    // The deviations from 2 are -3, 0 and 3: the population's variance is 6.
    ['mean_minus_std', 1, 2 - Math.sqrt(6)],
    ['mean_minus_std', 0.5, 2 - Math.sqrt(6) / 2],
  ] as const)('%s with k = %d of -1, 2 and 5', (combine, k, expected) => {
    expect(combineScores([-1, 2, 5], { combine, k })).toBeCloseTo(expected, 12);
  });

  it('does not apply where a member does not', () => {
    expect(combineScores([1, null], { combine: 'worst_case', k: 1 })).toBeNull();
  });

  it('is never above its mean, and with k = 0 it is the mean', () => {
    fc.assert(
      fc.property(scores, fc.double({ min: 0, max: 10, noNaN: true }), (members, k) => {
        const mean = combineScores(members, { combine: 'mean', k })!;
        expect(combineScores(members, { combine: 'worst_case', k })).toBeLessThanOrEqual(mean + 1e-9);
        expect(combineScores(members, { combine: 'mean_minus_std', k })).toBeLessThanOrEqual(mean);
        expect(combineScores(members, { combine: 'mean_minus_std', k: 0 })).toBe(mean);
      }),
    );
  });
});

describe('the reward', () => {
  const reward = (...scorers: readonly (readonly [number, number | null])[]) =>
    weighedSum(scorers.map(([weight, score], index) => ({ name: `s${index}`, weight, score })));

  it('is the sum of the scores times their weights', () => {
    expect(reward([1, 0.5], [-0.25, 4], [0, 9])).toBe(-0.5);
  });

  it('has the bits of the first score where it alone has a weight', () => {
    fc.assert(
      fc.property(fc.double({ noNaN: true, min: -3e38, max: 3e38 }), (score) => {
        expect(reward([1, score], [0, 1e300], [0, null])).toBe(score);
      }),
    );
  });

  it('takes nothing from a scorer that does not apply, and fails where none does', () => {
    expect(reward([1, null], [0.5, 3])).toBe(1.5);
    expect(() => reward([1, null], [2, null], [0, 5])).toThrow(
      expect.objectContaining({
        code: 'REWARD_NOT_APPLICABLE',
        message: expect.stringContaining('(s0, s1)'),
      }),
    );
  });

  it('is finite, or fails', () => {
    const notFinite = expect.objectContaining({ code: 'REWARD_NOT_FINITE', unavailable: false });
    expect(() => reward([1e200, 1e200])).toThrow(notFinite);
    expect(() => requireFinite({ large: 1e300 })).toThrow(notFinite);
    expect(() => requireFinite({ fine: 1, none: null, odd: Number.NaN })).toThrow(/expected odd .* got NaN/);
  });
});
