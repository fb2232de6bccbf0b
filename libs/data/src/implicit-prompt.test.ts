import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { splitImplicitPrompt } from './implicit-prompt.js';

describe('splitImplicitPrompt', () => {
  it.each([
    [
      'leaves the space to the completions',
      'What is red?  A rose.',
      'What is red?  A brick.',
      'What is red?  A',
    ],
    ['does not cut inside a word', 'The sky is blue', 'The sky is black', 'The sky is'],
    ['cuts before the last word when one side is a prefix', 'Say it', 'Say it again', 'Say'],
    ['keeps a line feed with the prompt', 'Q: why?\nBecause', 'Q: why?\nNo', 'Q: why?\n'],
    ['cuts between characters where a script has no spaces', '天気は良い', '天気は悪い', '天気は'],
    ['keeps a surrogate pair whole', 'Hi! 😀', 'Hi! 😁', 'Hi!'],
    ['does not cut before an accent', 'le caf\u0065\u0301 noir', 'le caf\u0065 noir', 'le'],
  ])('%s', (_, chosen, rejected, prompt) => {
    expect(splitImplicitPrompt(chosen, rejected)).toEqual({
      prompt,
      chosen: chosen.slice(prompt.length),
      rejected: rejected.slice(prompt.length),
    });
  });

  it("takes all up to the assistant's last turn, though the answers begin alike", () => {
    const prompt = '\n\nHuman: Hi\n\nAssistant: Hello\n\nHuman: Is it far?\n\nAssistant:';
    const split = splitImplicitPrompt(`${prompt} It is near.`, `${prompt} It is far.`);
    expect(split).toEqual({ prompt, chosen: ' It is near.', rejected: ' It is far.' });
    expect(splitImplicitPrompt(`${prompt} Yes.`, `${prompt} Yes.`)?.prompt).toBe(prompt);
  });

  it.each([
    ['good', 'bad'],
    ['', 'bad'],
    ['same', 'same'],
    ['unbelievable', 'unbearable'],
  ])('finds no prompt in %j and %j', (chosen, rejected) => {
    expect(splitImplicitPrompt(chosen, rejected)).toBeUndefined();
  });

  it('loses nothing and leaves both sides a completion', () => {
    const text = fc.string({
      unit: fc.constantFrom('a', 'b', ' ', '\n', '.', '😀', '\ud83d'),
      maxLength: 12,
    });
    fc.assert(
      fc.property(text, text, text, (prefix, first, second) => {
        const [chosen, rejected] = [prefix + first, prefix + second];
        const split = splitImplicitPrompt(chosen, rejected);
        if (split === undefined) return;
        expect(split.prompt + split.chosen).toBe(chosen);
        expect(split.prompt + split.rejected).toBe(rejected);
        expect(split.prompt).not.toBe('');
        expect(split.chosen.trim()).not.toBe('');
        expect(split.rejected.trim()).not.toBe('');
      }),
    );
  });
});
