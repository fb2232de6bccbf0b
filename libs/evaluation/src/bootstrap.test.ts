import { philox4x32 } from '@rlhf-streams/random';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { bootstrapMean, pairedDifference } from './bootstrap.js';

const values = fc.array(fc.double({ min: -100, max: 100, noNaN: true }), { minLength: 1, maxLength: 40 });

describe('bootstrapMean', () => {
  it('is a function of its seed, lies within the values, and moves with them', () => {
    fc.assert(
      fc.property(values, fc.nat(), (values, seed) => {
        const { low, high } = bootstrapMean(values, { seed, resamples: 100 });
        expect(bootstrapMean(values, { seed, resamples: 100 })).toEqual({ low, high });
        expect(low).toBeLessThanOrEqual(high);
        expect(low).toBeGreaterThanOrEqual(Math.min(...values) - 1e-9);
        expect(high).toBeLessThanOrEqual(Math.max(...values) + 1e-9);
        const moved = bootstrapMean(
          values.map((value) => value + 1000),
          { seed, resamples: 100 },
        );
        expect(moved.low).toBeCloseTo(low + 1000, 6);
        expect(moved.high).toBeCloseTo(high + 1000, 6);
      }),
      { numRuns: 50 },
    );
  });

  it.each([
    ['of shares', (uniform: number) => (uniform < 0.3 ? 1 : 0), 0.3],
    ['of skewed numbers', (uniform: number) => -Math.log(uniform), 1],
  ])('covers the mean %s about 95 times of a hundred', (_, drawn, truth) => {
    const covered = Array.from({ length: 200 }, (_, sample) => {
      const values = Array.from({ length: 50 }, (_, i) => {
        const [word] = philox4x32([i, sample, 0, 0], [11, 7]);
        return drawn(((word >>> 0) + 0.5) / 2 ** 32);
      });
      const { low, high } = bootstrapMean(values, { seed: sample, resamples: 200 });
      return low <= truth && truth <= high;
    }).filter(Boolean).length;
    expect(covered / 200).toBeGreaterThan(0.88);
    expect(covered / 200).toBeLessThan(0.99);
  });

  it('draws otherwise with another seed, also beyond 32 bits', () => {
    const values = Array.from({ length: 30 }, (_, i) => i);
    const of = (seed: number) => bootstrapMean(values, { seed, resamples: 50 }).low;
    expect(new Set([of(0), of(1), of(2 ** 32), of(2 ** 32 + 1)]).size).toBeGreaterThan(2);
  });

  it('refuses nothing, and what is not finite', () => {
    expect(() => bootstrapMean([], { seed: 0 })).toThrow('at least one value');
    expect(() => bootstrapMean([1, Number.NaN], { seed: 0 })).toThrow('NaN at index 1');
  });
});

it('a paired difference is free of what both measurements share', () => {
  const hardness = Array.from({ length: 50 }, (_, i) => Math.sin(i) * 100);
  const pairs = hardness.map((hard, i) => ({ a: hard + 1 + Math.cos(i) / 10, b: hard }));
  const { mean, low, high, n } = pairedDifference(pairs, { seed: 0 });
  expect(n).toBe(50);
  expect(mean).toBeCloseTo(1, 1);
  expect(high - low).toBeLessThan(0.1);
});
