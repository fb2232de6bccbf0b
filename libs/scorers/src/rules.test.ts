import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { countsTokens, ruleScorer } from './rules.js';

const item = (completion: string, tokens?: readonly number[]) => ({
  prompt: 'a prompt of many words',
  completion,
  ...(tokens && { tokens }),
});

describe('a rule', () => {
  it('counts tokens, words or characters of the completion', () => {
    const counted = (unit: 'tokens' | 'words' | 'characters') =>
      ruleScorer({ length: { unit } })(item(' two  words 👍\n', [5, 6, 7, 0]));
    expect(counted('tokens')).toBe(4);
    expect(counted('words')).toBe(3);
    expect(counted('characters')).toBe(14);
    expect(ruleScorer({ length: { unit: 'words' } })(item(''))).toBe(0);
  });

  it('needs tokens to count them', () => {
    expect(() => ruleScorer({ length: { unit: 'tokens' } })(item('x'))).toThrow(
      expect.objectContaining({ code: 'SCORER_REFUSED' }),
    );
    expect(countsTokens({ length: { unit: 'tokens' } })).toBe(true);
    expect(countsTokens({ lengthWithin: { unit: 'words', min: 0 } })).toBe(false);
    expect(countsTokens({ format: 'json' })).toBe(false);
  });

  it('says whether a length lies within bounds, both included', () => {
    const within = ruleScorer({ lengthWithin: { unit: 'characters', min: 2, max: 3 } });
    expect(['a', 'ab', 'abc', 'abcd'].map((text) => within(item(text)))).toEqual([0, 1, 1, 0]);
    const unbounded = ruleScorer({ lengthWithin: { unit: 'characters', min: 2 } });
    expect(unbounded(item('a'.repeat(1000)))).toBe(1);
  });

  it('searches a pattern in the completion, and not in the prompt', () => {
    expect(ruleScorer({ matches: 'prompt' })(item('none'))).toBe(0);
    expect(ruleScorer({ matches: '(?m)^\\d+\\.' })(item('first:\n1. yes'))).toBe(1);
  });

  it('takes time in proportion to the completion, for patterns that backtracking takes for ever', () => {
    const ruinous = ruleScorer({ matches: '^(a|aa|a+)+$' });
    expect(ruinous(item(`${'a'.repeat(100_000)}b`))).toBe(0);
    expect(ruinous(item('a'.repeat(100_000)))).toBe(1);
  });

  it('says whether a completion is JSON', () => {
    const json = ruleScorer({ format: 'json' });
    expect([' {"a": [1]}\n', '3', '{a: 1}', 'here: {}', ''].map((text) => json(item(text)))).toEqual([
      1, 1, 0, 0, 0,
    ]);
  });

  it('gives a finite score for any text', () => {
    const rules = [
      { length: { unit: 'words' as const } },
      { lengthWithin: { unit: 'characters' as const, min: 3 } },
      { matches: '\\bx+\\b' },
      { format: 'json' as const },
    ].map(ruleScorer);
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        for (const rule of rules) expect(Number.isFinite(rule(item(text)))).toBe(true);
      }),
    );
  });
});
