import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { agreement, fleissKappa } from './agreement.js';

const times = <T>(count: number, value: T): T[] => Array.from({ length: count }, () => value);

describe('agreement of two raters', () => {
  it.each([
    // https://en.wikipedia.org/wiki/Cohen%27s_kappa: 50 grant proposals, and two examples of 60 % agreement.
    ['grant proposals', [20, 5, 10, 15], 0.7, 0.4],
    ['60 % agreement with even marginals', [45, 15, 25, 15], 0.6, 0.1304],
    ['60 % agreement with uneven ones', [25, 35, 5, 35], 0.6, 0.2593],
  ])('is that of %s', (_, [yes, yesNo, noYes, no], share, kappa) => {
    const items = [
      ...times(yes!, ['yes', 'yes'] as const),
      ...times(yesNo!, ['yes', 'no'] as const),
      ...times(noYes!, ['no', 'yes'] as const),
      ...times(no!, ['no', 'no'] as const),
    ];
    const found = agreement(items);
    expect(found.share.mean).toBeCloseTo(share, 12);
    expect(found.kappa).toBeCloseTo(kappa, 4);
  });

  it('is 1 for raters who always agree on more than one category, and undefined where there is but one', () => {
    expect(
      agreement([
        ['a', 'a'],
        ['b', 'b'],
      ]).kappa,
    ).toBe(1);
    expect(agreement([['a', 'a']]).kappa).toBeNaN();
  });
});

describe("Fleiss' kappa", () => {
  it('is that of the example of 14 raters and 10 subjects', () => {
    // https://en.wikipedia.org/wiki/Fleiss%27_kappa
    const counts = [
      [0, 0, 0, 0, 14],
      [0, 2, 6, 4, 2],
      [0, 0, 3, 5, 6],
      [0, 3, 9, 2, 0],
      [2, 2, 8, 1, 1],
      [7, 7, 0, 0, 0],
      [3, 2, 6, 3, 0],
      [2, 5, 3, 2, 2],
      [6, 5, 2, 1, 0],
      [0, 2, 2, 3, 7],
    ];
    const items = counts.map((row) => row.flatMap((count, category) => times(count, String(category))));
    expect(fleissKappa(items)).toBeCloseTo(0.21, 3);
  });

  it('does not depend on who of an item said what', () => {
    const rating = fc.constantFrom('a', 'b', 'c');
    fc.assert(
      fc.property(fc.array(fc.tuple(rating, rating, rating), { minLength: 1 }), (items) => {
        const turned = items.map(([one, two, three]) => [three, one, two]);
        const [kappa, again] = [fleissKappa(items), fleissKappa(turned)];
        // Kappa is undefined where every rating is of the same category.
        if (Number.isNaN(kappa)) expect(again).toBeNaN();
        else expect(again).toBeCloseTo(kappa, 9);
      }),
    );
  });

  it('refuses items with other numbers of ratings', () => {
    expect(() => fleissKappa([['a', 'b'], ['a']])).toThrow('got 2 and 1');
    expect(() => fleissKappa([['a']])).toThrow('two at least');
  });
});
