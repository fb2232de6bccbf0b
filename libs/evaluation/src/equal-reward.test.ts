import fc from 'fast-check';
import { expect, it } from 'vitest';
import { type AtReward, compareAtEqualReward } from './equal-reward.js';

const at = (...points: readonly (readonly [number, number])[]): AtReward[] =>
  points.map(([reward, value]) => ({ reward, value }));
const number = fc.integer({ min: -8, max: 8 });
const points = fc.array(fc.record({ reward: number, value: number }), { minLength: 1, maxLength: 8 });

it('values are averaged over the rewards that both reach, linear between what was measured', () => {
  // Over [1, 3]: a goes from 10 to 30, b is 5 and then 7.
  expect(compareAtEqualReward(at([3, 30], [0, 0]), at([1, 5], [2, 5], [2, 7], [4, 11]))).toEqual({
    comparable: true,
    from: 1,
    to: 3,
    a: 20,
    b: (5.5 + (6 + 8.5) / 2) / 2,
    difference: 20 - (5.5 + (6 + 8.5) / 2) / 2,
  });
});

it('rewards that only one reaches are not compared', () => {
  expect(compareAtEqualReward(at([0, 1], [1, 2]), at([1.5, 9], [4, 9]))).toEqual({
    comparable: false,
    reason: 'no reward is reached by both: 0.00 to 1.00 and 1.50 to 4.00',
  });
  expect(compareAtEqualReward([], at([0, 1]))).toEqual({
    comparable: false,
    reason: 'nothing was measured',
  });
  expect(compareAtEqualReward(at([Number.NaN, 1]), at([0, 1]))).toMatchObject({ comparable: false });
});

it('of methods with the same points differs in nothing, and exchanged in sign', () => {
  fc.assert(
    fc.property(points, points, (a, b) => {
      expect(compareAtEqualReward(a, a)).toMatchObject({ comparable: true, difference: 0 });
      const [ab, ba] = [compareAtEqualReward(a, b), compareAtEqualReward(b, a)];
      expect(ba.comparable).toBe(ab.comparable);
      if (ab.comparable && ba.comparable) expect(ba.difference).toBeCloseTo(-ab.difference, 10);
    }),
  );
});

it('does not depend on the order of points, and is between the least and the greatest value', () => {
  fc.assert(
    fc.property(points, points, (a, b) => {
      const compared = compareAtEqualReward(a, b);
      expect(compareAtEqualReward(a.toReversed(), b.toReversed())).toEqual(compared);
      if (!compared.comparable) return;
      const values = a.map(({ value }) => value);
      expect(compared.a).toBeGreaterThanOrEqual(Math.min(...values) - 1e-9);
      expect(compared.a).toBeLessThanOrEqual(Math.max(...values) + 1e-9);
    }),
  );
});

it('a value that is a linear function of the reward is that function at the middle', () => {
  fc.assert(
    fc.property(points, points, (a, b) => {
      const linear = (points: readonly AtReward[]) =>
        points.map(({ reward }) => ({ reward, value: 3 * reward - 1 }));
      const compared = compareAtEqualReward(linear(a), linear(b));
      if (!compared.comparable) return;
      expect(compared.a).toBeCloseTo((3 * (compared.from + compared.to)) / 2 - 1, 8);
      expect(compared.difference).toBeCloseTo(0, 8);
    }),
  );
});
