import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { promptOf } from './prompt-of.js';

describe('promptOf', () => {
  it('takes the first words, without the space after them', () => {
    expect(promptOf('Overall, the film is  dull.')).toBe('Overall, the film');
    expect(promptOf('I saw it', 1)).toBe('I');
  });

  it('gives nothing for a text that leaves fewer than two words to complete', () => {
    expect(promptOf('The film is dull.')).toBeUndefined();
    expect(promptOf('')).toBeUndefined();
  });

  it('is a prefix of the text with as many words as asked for', () => {
    const text = fc.string({ unit: fc.constantFrom('a', 'é', ' ', '\n', ',') });
    fc.assert(
      fc.property(text, fc.integer({ min: 1, max: 5 }), (words, count) => {
        const prompt = promptOf(words, count);
        if (prompt === undefined) return;
        expect(words.startsWith(prompt)).toBe(true);
        expect(prompt.trimEnd()).toBe(prompt);
        expect(prompt.trim().split(/\s+/)).toHaveLength(count);
      }),
    );
  });

  it('refuses a count that is no positive integer', () => {
    expect(() => promptOf('a b c d', 0)).toThrow(expect.objectContaining({ code: 'DATA_ARGUMENT_INVALID' }));
  });
});
