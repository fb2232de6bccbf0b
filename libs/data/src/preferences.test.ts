import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { competitionRanks } from './preferences.js';

describe('competitionRanks', () => {
  it.each([
    [
      [0, 1, 2, 3],
      [1, 2, 3, 4],
    ],
    [
      [-1, -2, -3],
      [3, 2, 1],
    ],
    [
      [1.5, 2.5, 3],
      [1, 2, 3],
    ],
    [
      [2, 1, 2, 0],
      [3, 2, 3, 1],
    ],
    [
      [0, -0],
      [1, 1],
    ],
  ])('of %j are %j', (numbers, ranks) => {
    expect(competitionRanks(numbers)).toEqual(ranks);
  });

  it('are one more than how many are better', () => {
    fc.assert(
      fc.property(fc.array(fc.double({ noNaN: true, noDefaultInfinity: true })), (numbers) => {
        const ranks = numbers.map((number) => 1 + numbers.filter((other) => other < number).length);
        expect(competitionRanks(numbers)).toEqual(ranks);
      }),
    );
  });
});
