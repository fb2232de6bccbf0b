import { expect, it } from 'vitest';
import { backoff } from './backoff.js';

it('a backoff doubles up to its limit, whatever the number of failures', () => {
  const limits = { minMs: 20, maxMs: 1000 };
  expect([1, 2, 3, 6, 7, 10_000].map((failures) => backoff(failures, limits))).toEqual([
    20, 40, 80, 640, 1000, 1000,
  ]);
  expect(backoff(10_000, { minMs: 0.5, maxMs: 5 })).toBe(5);
});
