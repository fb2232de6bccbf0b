import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { scoreChoices } from './choices.js';

describe('scoreChoices', () => {
  it('gives MC1 and MC2 as TruthfulQA does', () => {
    const ranks = [2, 1, 3, 3];
    const logprobs = [0.2, 0.3, 0.4, 0.1].map(Math.log);
    const scores = scoreChoices({ ranks, logprobs, lengths: [1, 1, 1, 1] });
    // The likeliest choice is false; the true ones have half of the mass.
    expect(scores).toMatchObject({ accuracy: 0, mc1: 0 });
    expect(scores.mc2).toBeCloseTo(0.5, 12);
    // Another true choice may be likelier than the best one: it does not count in MC1.
    const other = scoreChoices({
      ranks,
      logprobs: [0.6, 0.3, 0.05, 0.05].map(Math.log),
      lengths: [1, 1, 1, 1],
    });
    expect(other).toMatchObject({ accuracy: 0, mc1: 1 });
    expect(other.mc2).toBeCloseTo(0.9, 12);
  });

  it('normalises by characters, and shares ties', () => {
    const long = scoreChoices({ ranks: [1, 2], logprobs: [-4, -3], lengths: [8, 4] });
    expect(long).toMatchObject({ accuracy: 0, accuracy_norm: 1 });
    expect(scoreChoices({ ranks: [1, 2, 2], logprobs: [-1, -1, -5], lengths: [1, 1, 1] })).toMatchObject({
      accuracy: 0.5,
      mc1: 0.5,
    });
  });

  it('depends on log-probs only by their differences, and neither on the order of the choices', () => {
    const logprob = fc.double({ min: -2000, max: 0, noNaN: true });
    fc.assert(
      fc.property(
        fc.array(logprob, { minLength: 2, maxLength: 6 }),
        fc.nat({ max: 100 }),
        (logprobs, less) => {
          const ranks = logprobs.map((_, i) => (i === 0 ? 1 : 2));
          const lengths = logprobs.map(() => 3);
          const scores = scoreChoices({ ranks, logprobs, lengths });
          expect(scores.mc2).toBeGreaterThanOrEqual(0);
          expect(scores.mc2).toBeLessThanOrEqual(1);
          const moved = scoreChoices({ ranks, logprobs: logprobs.map((x) => x - less), lengths });
          expect(moved.mc2).toBeCloseTo(scores.mc2, 6);
          const turned = scoreChoices({
            ranks: ranks.toReversed(),
            logprobs: logprobs.toReversed(),
            lengths,
          });
          expect(turned.mc1).toBe(scores.mc1);
          expect(turned.mc2).toBeCloseTo(scores.mc2, 12);
        },
      ),
    );
  });

  it('refuses choices that are all true, and log-probs that are not finite', () => {
    expect(() => scoreChoices({ ranks: [1, 1], logprobs: [-1, -1], lengths: [1, 1] })).toThrow(
      'true and false',
    );
    const infinite = { ranks: [1, 2], logprobs: [-1, Number.NEGATIVE_INFINITY], lengths: [1, 1] };
    expect(() => scoreChoices(infinite)).toThrow('got -Infinity');
  });
});
