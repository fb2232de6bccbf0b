import { describe, expect, it } from 'vitest';
import { keyFor, uniform } from './rollout-draws.js';

describe('keyFor', () => {
  it('tells runs and rollouts apart, and not the types of a seed', () => {
    expect(keyFor(7, 'rollout-1')).toEqual(keyFor('7', 'rollout-1'));
    const keys = [keyFor(7, 'a'), keyFor(8, 'a'), keyFor(7, 'b'), keyFor('7","a', ''), keyFor('', '7a')];
    expect(new Set(keys.map(String)).size).toBe(keys.length);
    expect(() => keyFor(0.5, 'a')).toThrow(expect.objectContaining({ code: 'MODEL_SAMPLING_OPTIONS' }));
  });

  it('does not change from release to release', () => {
    expect(keyFor(42, 'run/0/0/0')).toEqual([1576443463, 2667816612]);
    expect(uniform(keyFor(42, 'run/0/0/0'), 0)).toBe(0.985744120810837);
  });
});

describe('uniform', () => {
  it('is a function of key and position alone', () => {
    const key = keyFor(1, 'a');
    const forwards = Array.from({ length: 100 }, (_, i) => uniform(key, i));
    const backwards = Array.from({ length: 100 }, (_, i) => {
      uniform(keyFor(2, 'b'), i);
      return uniform(key, 99 - i);
    }).reverse();
    expect(backwards).toEqual(forwards);
    expect(uniform(key, 2 ** 32)).not.toBe(uniform(key, 0));
  });

  it('spreads evenly over [0, 1), over positions and over rollouts', () => {
    const draws = 20_000;
    const over = {
      positions: (i: number) => uniform([1, 2], i),
      rollouts: (i: number) => uniform(keyFor(5, `rollout-${i}`), 0),
    };
    for (const draw of Object.values(over)) {
      const bins = new Array<number>(100).fill(0);
      let lagged = 0;
      let previous = 0.5;
      for (let i = 0; i < draws; i++) {
        const u = draw(i);
        expect(u >= 0 && u < 1).toBe(true);
        bins[Math.floor(u * 100)]!++;
        lagged += (u - 0.5) * (previous - 0.5);
        previous = u;
      }
      const chiSquare = bins.reduce((sum, n) => sum + (n - draws / 100) ** 2 / (draws / 100), 0);
      // 99 degrees of freedom: 148.2 is exceeded once in a thousand keys; these keys are fixed.
      expect(chiSquare).toBeLessThan(148.2);
      // Standard deviation of the lagged product's mean: 1/12 / sqrt(draws).
      expect(Math.abs(lagged / draws)).toBeLessThan(4 / 12 / Math.sqrt(draws));
    }
  });

  it.each([-1, 0.5, 2 ** 53, Number.NaN])('refuses position %d', (position) => {
    expect(() => uniform([1, 2], position)).toThrow(
      expect.objectContaining({ code: 'MODEL_SAMPLING_OPTIONS' }),
    );
  });
});
