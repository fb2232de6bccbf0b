import { expect, it } from 'vitest';
import { encodedAnew } from './recorded.js';

const letters = (text: string) => [...text].map((letter) => letter.charCodeAt(0));
const encoder = { prompt: (text: string) => ({ tokens: [1, ...letters(text)] }), encode: letters, end: 2 };
const recorded = (text: string, tokens: number[]) => ({
  promptText: 'ab',
  promptTokens: [900],
  completions: [
    { text, tokens, score: 0.5 },
    { text: 'cd', tokens: [901, 902] },
  ],
  ranks: [1, 2],
  labeler: 'gold',
});
const anew = (text: string, tokens: number[]) =>
  encodedAnew([recorded(text, tokens)], { endTokens: [888, 999] }, encoder)[0]!;

it('comparisons come in the tokens of another model, ended where their policy ended them', () => {
  expect(anew('x', [903, 999])).toEqual({
    promptText: 'ab',
    promptTokens: [1, ...letters('ab')],
    completions: [
      { text: 'x', tokens: [...letters('x'), 2], score: 0.5 },
      { text: 'cd', tokens: letters('cd') },
    ],
    ranks: [1, 2],
    labeler: 'gold',
  });
  expect(anew('x', [903, 888]).completions[0]!.tokens).toEqual([...letters('x'), 2]);
});

it('a completion without a text is its end', () => {
  expect(anew('', [999]).completions[0]!.tokens).toEqual([2]);
  expect(anew('', [904]).completions[0]!.tokens).toEqual([2]);
});
