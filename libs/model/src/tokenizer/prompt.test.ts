import { expect, it } from 'vitest';
import { encodePrompt } from './prompt.js';

const tokenizer = {
  begin: [] as number[],
  eosId: 9,
  encode: (text: string) => [...text].map(Number),
  renderChat: (messages: readonly { role: string; content: string }[]) =>
    `0${messages.map(({ content }) => content).join('3')}`,
};

it('a text follows what begins a text', () => {
  expect(encodePrompt({ ...tokenizer, begin: [7, 8] }, {}, '12')).toEqual({
    text: '12',
    tokens: [7, 8, 1, 2],
    begin: 2,
  });
  expect(encodePrompt({ ...tokenizer, begin: [7] }, { bosTokenId: 5 }, '')).toMatchObject({
    tokens: [7],
    begin: 1,
  });
  expect(encodePrompt(tokenizer, { bosTokenId: 5 }, '12')).toMatchObject({ tokens: [1, 2], begin: 0 });
});

it('an empty text without a beginning is the beginning of text, else its end', () => {
  expect(encodePrompt(tokenizer, { bosTokenId: 5 }, '')).toEqual({ text: '', tokens: [5], begin: 1 });
  expect(encodePrompt(tokenizer, { bosTokenId: 0 }, '').tokens).toEqual([0]);
  expect(encodePrompt({ ...tokenizer, bosId: 4 }, {}, '').tokens).toEqual([4]);
  expect(encodePrompt(tokenizer, {}, '').tokens).toEqual([9]);
});

it('a conversation is what the template makes of it, which begins as the template says', () => {
  const messages = [
    { role: 'user', content: '1' },
    { role: 'assistant', content: '2' },
  ];
  expect(encodePrompt({ ...tokenizer, begin: [0] }, {}, messages)).toEqual({
    text: '0132',
    tokens: [0, 1, 3, 2],
    begin: 0,
  });
});
