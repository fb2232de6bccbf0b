import { describe, expect, it } from 'vitest';
import { ChatRequest } from './chat-request.js';

const least = { model: 'm', messages: [{ role: 'user', content: 'hi' }] };
const read = (more: object = {}) => ChatRequest.parse({ ...least, ...more });
const mistakes = (more: object) =>
  ChatRequest.safeParse({ ...least, ...more }).error?.issues.map(
    ({ path, message }) => `${path.join('.')}: ${message}`,
  );

it('takes null for what is not set', () => {
  const names = Object.keys(ChatRequest.in.shape).filter((name) => !['model', 'messages'].includes(name));
  expect(names).toContain('tool_choice');
  expect(read(Object.fromEntries(names.map((name) => [name, null])))).toMatchObject({
    ...read(),
    user: null,
    metadata: null,
  });
});

describe('messages', () => {
  it('of parts become one text; what a template may want goes along', () => {
    const call = { id: 'c1', type: 'function', function: { name: 'f', arguments: '{"a": 1}' } };
    const { messages } = read({
      messages: [
        {
          role: 'developer',
          content: [
            { type: 'text', text: 'be ' },
            { type: 'text', text: 'kind' },
          ],
        },
        { role: 'user', content: 'x', name: 'ann' },
        { role: 'assistant', content: null, refusal: null, tool_calls: [call] },
        { role: 'tool', tool_call_id: 'c1', content: '2' },
      ],
    });
    expect(messages).toEqual([
      { role: 'developer', content: 'be kind' },
      { role: 'user', content: 'x', name: 'ann' },
      {
        role: 'assistant',
        content: '',
        tool_calls: [{ ...call, function: { name: 'f', arguments: { a: 1 } } }],
      },
      { role: 'tool', tool_call_id: 'c1', content: '2' },
    ]);
  });

  it.each([
    [[], /^messages/],
    [[{ role: 'wizard', content: 'x' }], /^messages\.0\.role/],
    [[{ role: 'user' }], /^messages\.0\.content: expected a text, got none/],
    [
      [{ role: 'user', content: [{ type: 'image_url', image_url: { url: 'x' } }] }],
      /^messages\.0\.content.*models here read text alone/,
    ],
    [[{ role: 'user', content: 'x', mood: 'good' }], /^messages\.0: .*mood/],
  ])('%j are refused', (messages, message) => {
    expect(mistakes({ messages })?.[0]).toMatch(message);
  });
});

it('takes max_completion_tokens for max_tokens', () => {
  expect(read().maxTokens).toBeUndefined();
  expect(read({ max_tokens: 7 }).maxTokens).toBe(7);
  expect(read({ max_completion_tokens: 8 }).maxTokens).toBe(8);
  expect(mistakes({ max_tokens: 7, max_completion_tokens: 8 })).toEqual([
    'max_tokens: expected max_completion_tokens, 8, or nothing, got 7',
  ]);
});

it('asks for log-probs of tokens, and of the likeliest', () => {
  expect(read().logprobs).toBeUndefined();
  expect(read({ logprobs: true }).logprobs).toBe(0);
  expect(read({ logprobs: true, top_logprobs: 20 }).logprobs).toBe(20);
  expect(mistakes({ top_logprobs: 2 })).toEqual([
    'top_logprobs: expected logprobs to be true, or no top_logprobs',
  ]);
  expect(mistakes({ logprobs: true, top_logprobs: 21 })?.[0]).toMatch(/^top_logprobs/);
});

it('leaves tools out that are not to be called', () => {
  const tools = [{ type: 'function', function: { name: 'f', parameters: { type: 'object' } } }];
  expect(read({ tools }).tools).toEqual(tools);
  expect(read({ tools, tool_choice: 'auto' }).tools).toEqual(tools);
  expect(read({ tools, tool_choice: 'none' }).tools).toBeUndefined();
  expect(read({ tools: [] }).tools).toBeUndefined();
  expect(mistakes({ tools, tool_choice: 'required' })?.[0]).toMatch(/^tool_choice: is not supported/);
  expect(mistakes({ tools: [{ type: 'function' }] })?.[0]).toMatch(/^tools\.0\.function/);
});

it.each<[string, unknown, unknown]>([
  ['response_format', { type: 'text' }, { type: 'json_object' }],
  ['presence_penalty', 0, 0.5],
  ['logit_bias', {}, { 5: 1 }],
  ['parallel_tool_calls', true, false],
  ['store', false, true],
  ['modalities', ['text'], ['audio']],
  ['continue_final_message', false, true],
  ['functions', null, [{ name: 'f' }]],
])('%s may be sent if it asks for nothing, and is named otherwise', (name, neutral, other) => {
  expect(mistakes({ [name]: neutral })).toBeUndefined();
  expect(mistakes({ [name]: other })).toEqual([expect.stringContaining(`${name}: is not supported`)]);
});

it.each([
  [{ prompt: 'x' }, /no such key: prompt/],
  [{ stream_options: { include_usage: true } }, /^stream_options: expected stream to be true/],
  [{ n: 129 }, /^n/],
  [{ max_tokens: 0 }, /^max_tokens/],
])('refuses %j', (more, message) => {
  expect(mistakes(more)).toEqual([expect.stringMatching(message)]);
});
