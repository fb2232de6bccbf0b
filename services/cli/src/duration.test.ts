import { expect, it } from 'vitest';
import { parseDuration } from './duration.js';

it.each([
  ['250ms', 250],
  ['90s', 90_000],
  ['1.5m', 90_000],
  ['1h', 3_600_000],
  ['2d', 172_800_000],
  ['0', 0],
  ['1', undefined],
  ['h', undefined],
  ['-1h', undefined],
  ['1 h', undefined],
  ['', undefined],
])('%j is %j ms', (text, ms) => {
  expect(parseDuration(text)).toBe(ms);
});
