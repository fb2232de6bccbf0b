import { expect, it } from 'vitest';
import { encoderOf } from './encoder.js';
import { lettersTokenizer } from './letters.test.support.js';
import { encodedAnew } from './recorded.js';

const letters = (text: string) => [...text].map((letter) => letter.charCodeAt(0));
const encoder = encoderOf(
  lettersTokenizer({
    end: 2,
    begin: [1],
    renderChat: (messages, { addGenerationPrompt = true } = {}) =>
      `${messages.map(({ content }) => `<${content}>`).join('')}${addGenerationPrompt ? '<' : ''}`,
  }),
  { contextLength: 64 },
  [2, 62],
);
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
  encodedAnew([recorded(text, tokens)], { endTokens: [888, 999] }, encoder)[0] as ReturnType<typeof recorded>;

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

it('conversations are rendered anew, and end as the template ends turns', () => {
  const messages = [{ role: 'user', content: 'ab' }];
  const comparison = { ...recorded('x', [903, 999]), messages };
  expect(encodedAnew([comparison], { endTokens: [999] }, encoder)).toMatchObject([
    {
      promptText: '<ab><',
      promptTokens: letters('<ab><'),
      completions: [{ tokens: letters('x>') }, { tokens: letters('cd') }],
      messages,
    },
  ]);
});
