import { expect, it } from 'vitest';
import { sharesOf } from './scoring.js';

const sequences = (...lengths: number[]) =>
  lengths.map((length) => ({ tokens: new Array<number>(length).fill(0) }));
const lengthsIn = (items: ReturnType<typeof sequences>, most: number) =>
  sharesOf(items, most).map((share) => share.map((index) => items[index]!.tokens.length));

it('sequences are cut into shares of about as many tokens, those of similar lengths together', () => {
  const lengths = Array.from({ length: 32 }, (_, i) => 20 + ((i * 7) % 32) * 8);
  const shares = lengthsIn(sequences(...lengths), 3);
  expect(shares).toHaveLength(3);
  expect(shares.flat()).toEqual(lengths.toSorted((a, b) => a - b));
  const sums = shares.map((share) => share.reduce((sum, length) => sum + length, 0));
  const total = sums.reduce((sum, each) => sum + each, 0);
  for (const sum of sums) expect(Math.abs(sum - total / 3)).toBeLessThan(Math.max(...lengths));
});

it.each([
  ['few sequences stay together', [20, 20, 20, 20, 20, 20, 20, 20], 1],
  ['of long ones fewer are computed together', [150, 150, 150, 150, 150, 150, 150, 150], 2],
  ['the longest are computed one by one', [600, 600, 600], 3],
  ['a sequence of no token, which the model refuses, is a share too', [0], 1],
])('%s', (_, lengths, shares) => {
  expect(lengthsIn(sequences(...lengths), 4)).toHaveLength(shares);
});
