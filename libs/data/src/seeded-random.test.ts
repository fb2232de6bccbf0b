import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { seededRandom } from './seeded-random.js';

describe('seededRandom', () => {
  const start = (...parameters: Parameters<typeof seededRandom>) => {
    const random = seededRandom(...parameters);
    return Array.from({ length: 6 }, () => random.uint32());
  };

  it('repeats for equal seed, stream and index, and differs in each of them', () => {
    expect(start(5, 1, 2)).toEqual(start(5, 1, 2));
    for (const other of [start(6, 1, 2), start(5, 2, 2), start(5, 1, 3), start(5 + 2 ** 32, 1, 2)]) {
      expect(other).not.toEqual(start(5, 1, 2));
    }
  });

  it('draws below a bound, each value as often as the others', () => {
    const random = seededRandom(1);
    const counts = [0, 0, 0, 0, 0, 0, 0];
    for (let draw = 0; draw < 70_000; draw++) counts[random.below(7)]! += 1;
    // 6 standard deviations of a binomial count around 10000.
    for (const count of counts) expect(Math.abs(count - 10_000)).toBeLessThan(560);
  });

  it('draws floats in [0, 1)', () => {
    fc.assert(
      fc.property(fc.maxSafeNat(), (seed) => {
        const value = seededRandom(seed).float();
        expect(value).toBeGreaterThanOrEqual(0);
        expect(value).toBeLessThan(1);
      }),
    );
  });

  it.each([-1, 0.5, Number.NaN, 2 ** 53])('refuses seed %s', (seed) => {
    expect(() => seededRandom(seed)).toThrow(expect.objectContaining({ code: 'DATA_ARGUMENT_INVALID' }));
  });

  it.each([0, 1.5, 2 ** 32 + 1])('refuses bound %s', (bound) => {
    expect(() => seededRandom(0).below(bound)).toThrow(
      expect.objectContaining({ code: 'DATA_ARGUMENT_INVALID' }),
    );
  });
});
