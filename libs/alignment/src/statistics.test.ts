import { expect, test } from 'vitest';
import { expectClose, golden, type Matrix, ragged } from './golden.test.support.js';
import { explainedVariance, tokenMean, tokenVariance, whiten } from './statistics.js';

interface Case {
  name: string;
  inputs: { values: Matrix; mask: Matrix };
  expected: {
    masked_mean: number;
    masked_var_unbiased: number;
    whitened: Matrix;
    whitened_keep_mean: Matrix;
  };
}

test.each(golden<Case>('masked_stats.json'))('golden $name', ({ inputs, expected }) => {
  const rows = ragged(inputs.values, inputs.mask);
  expectClose(tokenMean(rows), expected.masked_mean, 1e-12);
  expectClose(tokenVariance(rows), expected.masked_var_unbiased, 1e-12);
  expectClose(
    whiten(rows).map((row) => Array.from(row)),
    ragged(expected.whitened, inputs.mask),
    1e-11,
  );
  const shifted = whiten(rows, { shiftMean: false }).map((row) => Array.from(row));
  expectClose(shifted, ragged(expected.whitened_keep_mean, inputs.mask), 1e-11);
});

test('a single token cannot be whitened', () => {
  expect(() => whiten([[1]])).toThrow('at least 2');
});

test('explained variance: all of it, none of it, and worse than none', () => {
  const returns = [
    [1, 2],
    [3, 4, 8],
  ];
  expect(explainedVariance(returns, returns)).toBe(1);
  expect(
    explainedVariance(
      [
        [5, 5],
        [5, 5, 5],
      ],
      returns,
    ),
  ).toBeCloseTo(0, 12);
  expect(
    explainedVariance(
      [
        [-1, -2],
        [-3, -4, -8],
      ],
      returns,
    ),
  ).toBeCloseTo(-3, 12);
  expect(explainedVariance([[1, 2]], [[7, 7]])).toBe(0);
  expect(() => explainedVariance([[1]], [[1, 2]])).toThrow('2 values');
});
