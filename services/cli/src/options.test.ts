import { expect, it } from 'vitest';
import { duration, folder } from './options.js';

it.each([
  ['250ms', 250],
  ['90s', 90_000],
  ['1.5m', 90_000],
  ['1h', 3_600_000],
  ['2d', 172_800_000],
  ['0', 0],
])('%j is %j ms', (text, ms) => {
  expect(duration(text)).toBe(ms);
});

it.each(['1', 'h', '-1h', '1 h', ''])('%j is no time', (text) => {
  expect(() => duration(text)).toThrow('expected a time such as 90s');
});

it.each(['runs/mine', '.', 'with space', './-x'])('%j is a folder', (text) => {
  expect(folder(text)).toBe(text);
});

it.each(['', ' ', '--attach'])('%j is no folder', (text) => {
  expect(() => folder(text)).toThrow('expected the path of a folder');
});
