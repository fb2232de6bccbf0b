import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { nearest } from './nearest.js';

const names = ['klCoef', 'klEstimator', 'lam', 'gamma', 'cliprange', 'cliprangeValue'];

describe('the nearest name', () => {
  it.each([
    ['kl_coef', 'klCoef'],
    ['KL-COEF', 'klCoef'],
    ['klcoeff', 'klCoef'],
    ['gama', 'gamma'],
    ['gmama', 'gamma'],
    ['cliprange_val', 'cliprangeValue'],
    ['lm', 'lam'],
    ['packing', undefined],
    ['', undefined],
    ['x', undefined],
  ])('to %s is %s', (name, expected) => {
    expect(nearest(name, names)).toBe(expected);
  });

  it('to a name is itself, and there is none in an empty list', () => {
    fc.assert(
      fc.property(fc.constantFrom(...names), (name) => {
        expect(nearest(name, names)).toBe(name);
        expect(nearest(name, [])).toBeUndefined();
      }),
    );
  });
});
