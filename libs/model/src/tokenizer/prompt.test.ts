import { expect, it } from 'vitest';
import { promptTokens } from './prompt.js';

const tokenizer = { begin: [] as number[], eosId: 9, encode: (text: string) => [...text].map(Number) };

it('a prompt follows what begins a text', () => {
  expect(promptTokens({ ...tokenizer, begin: [7, 8] }, {}, '12')).toEqual([7, 8, 1, 2]);
  expect(promptTokens({ ...tokenizer, begin: [7] }, { bosTokenId: 5 }, '')).toEqual([7]);
  expect(promptTokens(tokenizer, { bosTokenId: 5 }, '12')).toEqual([1, 2]);
});

it('an empty prompt without a beginning is the beginning of text, else its end', () => {
  expect(promptTokens(tokenizer, { bosTokenId: 5 }, '')).toEqual([5]);
  expect(promptTokens(tokenizer, { bosTokenId: 0 }, '')).toEqual([0]);
  expect(promptTokens(tokenizer, {}, '')).toEqual([9]);
});
