import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { drawnRanks, scoreRanks } from './online-dpo.js';

const scores = fc.array(fc.double({ min: -5, max: 5, noNaN: true }), { minLength: 1, maxLength: 6 });

test('ranks by score are competition ranks of which 1 is the best', () => {
  expect(scoreRanks([0.5, 2, 0.5, -1])).toEqual([2, 1, 2, 4]);
  fc.assert(
    fc.property(scores, (scores) => {
      const ranks = scoreRanks(scores);
      expect(Math.min(...ranks)).toBe(1);
      ranks.forEach((rank, i) => {
        ranks.forEach((other, j) => {
          expect(Math.sign(rank - other)).toBe(Math.sign(scores[j]! - scores[i]!) + 0);
        });
      });
    }),
  );
});

describe('drawn ranks', () => {
  test('are an order, and a function of the draws', () => {
    const uniform = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.double({ min: -5, max: 5, noNaN: true }), uniform)), (drawn) => {
        const [scores, uniforms] = [drawn.map(([score]) => score), drawn.map(([, u]) => u)];
        const ranks = drawnRanks(scores, uniforms);
        expect(drawnRanks(scores, uniforms)).toEqual(ranks);
        expect(ranks.every((rank) => rank >= 1 && rank <= scores.length)).toBe(true);
      }),
    );
  });

  test("rank a above b as often as Bradley-Terry's probability, whatever else is ranked", () => {
    const scores = [0.7, -0.4, 1.5];
    const n = 40;
    // Every combination of n quantiles: the expectation itself but for their distance, not a sample of it.
    const quantiles = Array.from({ length: n }, (_, i) => (i + 0.5) / n);
    const above = [0, 1, 2].map(() => [0, 0, 0]);
    for (const u of quantiles)
      for (const v of quantiles)
        for (const w of quantiles) {
          const ranks = drawnRanks(scores, [u, v, w]);
          for (const a of [0, 1, 2]) for (const b of [0, 1, 2]) if (ranks[a]! < ranks[b]!) above[a]![b]! += 1;
        }
    for (const [a, b] of [
      [0, 1],
      [2, 0],
      [2, 1],
    ] as const) {
      const expected = 1 / (1 + Math.exp(scores[b]! - scores[a]!));
      expect(above[a]![b]! / n ** 3).toBeCloseTo(expected, 2);
    }
  });

  test('of a draw of 0 is the last, of no infinite distance', () => {
    expect(drawnRanks([0, 0], [0, 0.5])).toEqual([2, 1]);
    expect(drawnRanks([100, 0], [0, 0.999])).toEqual([1, 2]);
  });
});
