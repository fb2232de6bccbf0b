import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { expectClose } from './golden.test.support.js';
import { deviationOf, type ScoreNormalisation, usedScores } from './scores.js';

const score = fc.double({ min: -50, max: 50, noNaN: true });
const steps = fc.array(fc.array(score, { minLength: 1, maxLength: 6 }), { minLength: 1, maxLength: 5 });

const meanOf = (values: readonly number[]) => values.reduce((sum, x) => sum + x, 0) / values.length;
const stdOf = (values: readonly number[]) =>
  values.length < 2
    ? 0
    : Math.sqrt(values.reduce((sum, x) => sum + (x - meanOf(values)) ** 2, 0) / (values.length - 1));

describe('statistics', () => {
  test('over steps are those of all their scores', () => {
    fc.assert(
      fc.property(steps, (steps) => {
        let before: ReturnType<typeof usedScores>['statistics'] | undefined;
        for (const scores of steps)
          before = usedScores(scores, { normalisation: 'running', before }).statistics;
        const all = steps.flat();
        expect(before!.count).toBe(all.length);
        expect(before!.mean).toBeCloseTo(meanOf(all), 8);
        expect(deviationOf(before!)).toBeCloseTo(stdOf(all), 6);
      }),
    );
  });

  test('of one step alone do not know the steps before', () => {
    const before = { count: 9, mean: 100, m2: 4 };
    const { statistics } = usedScores([1, 2, 3], { normalisation: 'batch', before });
    expect(statistics).toEqual({ count: 3, mean: 2, m2: 2 });
  });
});

test('a step is normalised by the statistics that it is part of', () => {
  const first = usedScores([1, 3], { normalisation: 'running' });
  expectClose(first.scores, [-1 / Math.SQRT2, 1 / Math.SQRT2], 1e-6);
  // Mean 4 and variance 18 of 1, 3 and 8; unbiased 13.
  const second = usedScores([8], { normalisation: 'running', before: first.statistics });
  expectClose(second.scores, [4 / Math.sqrt(13)], 1e-6);
});

test('scores clipped are those that lie beyond, after normalisation', () => {
  expect(usedScores([-3, 0.5, 7], { normalisation: 'none', clip: 2 })).toMatchObject({
    scores: [-2, 0.5, 2],
    clipped: 2,
  });
  const { scores, clipped } = usedScores([0, 0, 0, 0, 100], { normalisation: 'batch', clip: 1 });
  expect(clipped).toBe(1);
  expect(scores[4]).toBe(1);
});

test.each<[ScoreNormalisation, number[]]>([
  ['none', [5, 5]],
  ['batch', [0, 0]],
  ['running', [0, 0]],
])('equal scores with normalisation %s', (normalisation, expected) => {
  expect(usedScores([5, 5], { normalisation }).scores).toEqual(expected);
});

test('a score that is not finite is refused: it would spoil every later step', () => {
  expect(() => usedScores([1, Number.NaN], { normalisation: 'running' })).toThrow(
    expect.objectContaining({ code: 'ALIGNMENT_NOT_FINITE' }),
  );
});
