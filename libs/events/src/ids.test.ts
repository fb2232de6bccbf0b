import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compareIds, itemId, rolloutId } from './ids.js';

const place = fc.tuple(fc.nat({ max: 200 }), fc.nat({ max: 200 }));
const id = ([index, sample]: [number, number]) => rolloutId(itemId('run-10', 7, index), sample);

describe('compareIds', () => {
  it('orders by index, then sample, as numbers: 2 before 10', () => {
    fc.assert(
      fc.property(fc.array(place), (places) => {
        const byNumber = places.toSorted(([i, s], [j, t]) => i - j || s - t);
        expect(places.map(id).toSorted(compareIds)).toEqual(byNumber.map(id));
      }),
    );
  });

  it('orders steps before items, and a prompt before its rollouts', () => {
    const ids = ['r/0/0', 'r/0/0/0', 'r/0/0/11', 'r/0/2/0', 'r/0/10', 'r/9/0', 'r/10/0'];
    expect(ids.toReversed().sort(compareIds)).toEqual(ids);
  });

  it('is a total order over any ids', () => {
    const part = fc.oneof(fc.nat({ max: 12 }).map(String), fc.constantFrom('a', 'b', 'x-1'));
    const any = fc.array(part, { minLength: 1, maxLength: 4 }).map((parts) => parts.join('/'));
    const sign = (a: string, b: string) => Math.sign(compareIds(a, b));
    fc.assert(
      fc.property(any, any, any, (a, b, c) => {
        expect(sign(a, a)).toBe(0);
        expect(sign(a, b) + sign(b, a)).toBe(0);
        expect(sign(a, b) === 0).toBe(a === b);
        if (sign(a, b) < 0 && sign(b, c) < 0) expect(sign(a, c)).toBe(-1);
      }),
      { numRuns: 500 },
    );
  });
});
