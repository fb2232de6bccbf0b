import fc from 'fast-check';
import { expect, test } from 'vitest';
import { adaptKlCoef } from './adaptive-kl.js';
import { expectClose, golden } from './golden.test.support.js';

interface Case {
  name: string;
  params: { init_kl_coef: number; target: number; horizon: number; n_steps: number };
  inputs: { kl: number[] };
  expected: { coef_after_each_update: number[] };
}

test.each(golden<Case>('adaptive_kl.json'))('golden $name', ({ params, inputs, expected }) => {
  const { target, horizon, n_steps: episodes } = params;
  let coef = params.init_kl_coef;
  const coefs = inputs.kl.map((kl) => {
    coef = adaptKlCoef(coef, { kl, target, horizon, episodes });
    return coef;
  });
  expectClose(coefs, expected.coef_after_each_update, 1e-12);
});

test('the coefficient stands still at the target, rises above it and falls below it', () => {
  const positive = fc.double({ min: 0.01, max: 100, noNaN: true });
  fc.assert(
    fc.property(positive, positive, (coef, target) => {
      const next = (kl: number) => adaptKlCoef(coef, { kl, target, horizon: 10_000, episodes: 64 });
      expect(next(target)).toBe(coef);
      expect(next(target * 1.1)).toBeGreaterThan(coef);
      expect(next(target * 0.9)).toBeLessThan(coef);
      expect(next(target * 1e6)).toBeCloseTo(coef * (1 + (0.2 * 64) / 10_000), 10);
    }),
  );
});

test('a KL that is no number is refused', () => {
  expect(() => adaptKlCoef(0.2, { kl: Number.NaN, target: 6, horizon: 1e4, episodes: 8 })).toThrow(
    'finite KL',
  );
});
