import { describe, expect, it } from 'vitest';
import { CompletionRequest } from './completion-request.js';
import { tokensToGenerate } from './openai-parameters.js';

const least = { model: 'm', prompt: 'p' };
const read = (more: object = {}) => CompletionRequest.parse({ ...least, ...more });
const mistakes = (more: object) =>
  CompletionRequest.safeParse({ ...least, ...more }).error?.issues.map(
    ({ path, message }) => `${path.join('.')}: ${message}`,
  );

it('takes null for what is not set', () => {
  const names = Object.keys(CompletionRequest.in.shape).filter((name) => name !== 'model');
  expect(names).toContain('logit_bias');
  const nulls = Object.fromEntries(names.map((name) => [name, null]));
  expect(CompletionRequest.parse({ ...nulls, model: 'm' })).toEqual(
    expect.objectContaining({ ...read(), prompt: [''], user: null }),
  );
});

it.each([
  ['a text', 'p', ['p']],
  ['texts', ['p', ''], ['p', '']],
  ['tokens', [1, 2], [[1, 2]]],
  ['lists of tokens', [[1], [2, 3]], [[1], [2, 3]]],
])('reads a prompt of %s', (_, prompt, expected) => {
  expect(read({ prompt }).prompt).toEqual(expected);
});

it.each([[[]], [['a', 1]], [7], [[-1]], [[1.5]], [{}]])('refuses %j for a prompt', (prompt) => {
  expect(mistakes({ prompt })?.[0]).toMatch(
    /^prompt.*: expected a text, a list of texts, a list of token ids/,
  );
});

it('names an empty list of tokens', () => {
  expect(mistakes({ prompt: [[1], []] })?.[0]).toMatch(/^prompt/);
});

it('reads stops', () => {
  expect(read({ stop: 'a' }).stop).toEqual(['a']);
  expect(read({ stop: ['a', 'b', 'c', 'd'] }).stop).toEqual(['a', 'b', 'c', 'd']);
  expect(read({ stop: [] }).stop).toEqual([]);
  for (const stop of ['', [''], ['a', 'b', 'c', 'd', 'e'], 5])
    expect(mistakes({ stop })?.[0]).toMatch(/^stop/);
});

describe('what is not supported', () => {
  it.each([
    ['presence_penalty', 0, 0.5],
    ['frequency_penalty', 0, -1],
    ['logit_bias', {}, { 5: -100 }],
    ['suffix', '', 'end'],
  ])('may be sent as %s if it asks for nothing, and is named otherwise', (name, neutral, other) => {
    expect(mistakes({ [name]: neutral })).toBeUndefined();
    expect(mistakes({ [name]: other })).toEqual([
      `${name}: is not supported: expected ${JSON.stringify(neutral)} or nothing, got ${JSON.stringify(other)}`,
    ]);
  });

  it.each([
    [{ best_of: 3, n: 2 }, /^best_of: .*expected n, 2, got 3/],
    [{ stream_options: { include_usage: true } }, /^stream_options: expected stream to be true/],
    [
      { stream: true, stream_options: { include_obfuscation: true } },
      /include_obfuscation: is not supported/,
    ],
    [{ messages: [] }, /no such key: messages/],
    [{ logprobs: 6 }, /^logprobs/],
    [{ logprobs: true }, /^logprobs/],
    [{ max_tokens: -1 }, /^max_tokens/],
    [{ n: 128, prompt: Array(17).fill('p') }, /^n: expected at most 2048 completions, got 17 prompts/],
  ])('refuses %j', (more, message) => {
    expect(mistakes(more)).toEqual([expect.stringMatching(message)]);
  });

  it('is nothing of what clients send by habit', () => {
    expect(
      mistakes({ best_of: 2, n: 2, user: 'me', echo: false, seed: -5, top_p: 0, logprobs: 0, stream: false }),
    ).toBeUndefined();
  });
});

it('generates what was asked for if it fits, else by default what there is room for', () => {
  const tokens = (maxTokens: number | undefined, promptTokens: number) =>
    tokensToGenerate({ maxTokens, defaultMaxTokens: read().defaultMaxTokens }, promptTokens, 64);
  expect(tokens(undefined, 10)).toBe(16);
  expect(tokens(undefined, 60)).toBe(4);
  expect(tokens(undefined, 64)).toBeUndefined();
  expect(tokens(4, 60)).toBe(4);
  expect(tokens(5, 60)).toBeUndefined();
  expect(tokens(0, 64)).toBe(0);
});
