import fc from 'fast-check';
import { expect, test } from 'vitest';
import { studentCritical } from './critical-values.js';
import type { Estimate } from './statistics.js';
import { correlation, mean, meanEstimate, sampleStd, wilsonEstimate } from './statistics.js';

// Golden numbers: SciPy 1.17.1, NumPy 2.4.6.
const a = [2.1, 3.4, 1.9, 5.0, 4.4, 2.8];

function expectEstimate(estimate: Estimate, mean: number, low: number, high: number, n: number) {
  expect(estimate.mean).toBeCloseTo(mean, 10);
  expect(estimate.low).toBeCloseTo(low, 10);
  expect(estimate.high).toBeCloseTo(high, 10);
  expect(estimate.n).toBe(n);
}

test.each([
  // scipy.stats.t.ppf(.975, df)
  [1, 12.706204736174694],
  [1.5, 6.016663104427929],
  [2, 4.302652729749462],
  [3.7, 2.8675207071911895],
  [4, 2.7764451051977934],
  [9, 2.262157162798205],
  [30, 2.0422724563012378],
  [99, 1.9842169515864174],
  [1000.25, 1.9623384864941926],
  [1e6, 1.959966356814107],
])('the critical value of Student at %d degrees of freedom', (df, expected) => {
  expect(studentCritical(df)).toBeCloseTo(expected, 9);
});

test('mean, standard deviation and the interval of a mean', () => {
  expect(mean(a)).toBeCloseTo(3.266666666666667, 14);
  // np.std(a, ddof=1)
  expect(sampleStd(a)).toBeCloseTo(1.2452576707921406, 14);
  // scipy.stats.ttest_1samp(a, 0).confidence_interval()
  expectEstimate(meanEstimate(a), 3.266666666666667, 1.9598488860835341, 4.5734844472498, 6);
});

test.each([
  // scipy.stats.binomtest(k, n).proportion_ci(method='wilson')
  [7, 10, 0.39677814746114526, 0.892208732593699],
  [0, 12, 0, 0.24249400665524085],
  [12, 12, 0.7575059933447592, 1],
  [431, 1000, 0.4006284437674723, 0.4618996489035343],
])('the Wilson interval of %d in %d', (successes, n, low, high) => {
  expectEstimate(wilsonEstimate(successes, n), successes / n, low, high, n);
});

test('one observation says nothing about the spread, equal observations everything', () => {
  expect(meanEstimate([4])).toEqual({ mean: 4, low: -Infinity, high: Infinity, n: 1 });
  expect(meanEstimate([2, 2, 2])).toEqual({ mean: 2, low: 2, high: 2, n: 3 });
});

test('an interval holds its mean and does not depend on the unit', () => {
  const sample = fc.array(fc.double({ min: -1e3, max: 1e3, noNaN: true }), { minLength: 2, maxLength: 40 });
  fc.assert(
    fc.property(sample, fc.double({ min: 0.1, max: 10, noNaN: true }), (values, unit) => {
      const estimate = meanEstimate(values);
      const scaled = meanEstimate(values.map((value) => value * unit));
      expect(estimate.low).toBeLessThanOrEqual(estimate.mean);
      expect(estimate.high).toBeGreaterThanOrEqual(estimate.mean);
      expect(scaled.low).toBeCloseTo(estimate.low * unit, 6);
      expect(scaled.high).toBeCloseTo(estimate.high * unit, 6);
    }),
  );
});

test.each([
  ['EVALUATION_EMPTY', () => mean([])],
  ['EVALUATION_EMPTY', () => wilsonEstimate(0, 0)],
  ['EVALUATION_NOT_FINITE', () => meanEstimate([1, Number.NaN])],
  ['EVALUATION_OUT_OF_RANGE', () => wilsonEstimate(3, 2)],
])('bad input is refused with %s', (code, act) => {
  expect(act).toThrow(expect.objectContaining({ name: 'EvaluationError', code }));
});

test('the correlation is 1 for what rises on a line, unchanged by scale, and unknown for what does not vary', () => {
  expect(correlation(a, [1, 2, 1, 4, 2, 3])).toBeCloseTo(0.7601972641759119, 12);
  expect(
    correlation(
      a,
      a.map((x) => 3 - 2 * x),
    ),
  ).toBeCloseTo(-1, 12);
  expect(correlation(a, [2, 2, 2, 2, 2, 2])).toBeNaN();
  const lists = fc.array(fc.tuple(fc.integer({ min: -9, max: 9 }), fc.integer({ min: -9, max: 9 })), {
    minLength: 2,
  });
  fc.assert(
    fc.property(lists, fc.integer({ min: 1, max: 5 }), (pairs, scale) => {
      const [x, y] = [pairs.map(([x]) => x), pairs.map(([, y]) => y)];
      const found = correlation(x, y);
      fc.pre(!Number.isNaN(found));
      expect(
        correlation(
          y,
          x.map((x) => scale * x + 1),
        ),
      ).toBeCloseTo(found, 9);
      expect(Math.abs(found)).toBeLessThanOrEqual(1);
    }),
  );
  expect(() => correlation([1], [1, 2])).toThrow(
    expect.objectContaining({ code: 'EVALUATION_LENGTH_MISMATCH' }),
  );
});
