/** The policy service, as OpenAI's own client asks it. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import OpenAI from 'openai';
import { followRun, type Platform, requestRun, startPlatform } from 'rlhf-streams';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { oneThread, tinyComparisons, tinyReward, tinySft, writeReviews } from './tiny-runs.js';

type Request = OpenAI.CompletionCreateParamsNonStreaming;
type Logprobs = Required<OpenAI.CompletionChoice.Logprobs>;

let folder: string;
let platform: Platform;
let client: OpenAI;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'openai-'));
  const data = await writeReviews(folder);
  platform = await startPlatform({
    directory: join(folder, 'log'),
    logLevel: 'error',
    environment: oneThread,
  });
  for (const config of [{ ...tinySft(data), steps: 30 }, tinyComparisons(data), tinyReward()]) {
    await requestRun(platform, config);
    await followRun(platform, config.run, {});
  }
  const { url } = platform.services.find(({ name }) => name === 'policy')!;
  client = new OpenAI({ baseURL: `${url}/v1`, apiKey: 'none', maxRetries: 0 });
});
afterAll(async () => {
  await platform.close();
  await rm(folder, { recursive: true });
});

const request: Request = { model: 'sft', prompt: 'The film was', max_tokens: 12, seed: 3 };
const complete = (more: Partial<Request> = {}) => client.completions.create({ ...request, ...more });
const textOf = async (more: Partial<Request> = {}) => (await complete(more)).choices[0]!.text;

/** The choices of a stream, put together from their chunks. */
async function streamed(more: Partial<Request> = {}) {
  const stream = await client.completions.create({
    ...request,
    ...more,
    stream: true,
    stream_options: { include_usage: true },
  });
  const choices: { text: string; finish_reason: string | null; logprobs: Logprobs | null }[] = [];
  let usage: OpenAI.CompletionUsage | undefined;
  let chunks = 0;
  for await (const chunk of stream) {
    chunks++;
    if (chunk.usage) usage = chunk.usage;
    for (const { index, text, finish_reason, logprobs } of chunk.choices) {
      const before = choices[index];
      const told = logprobs as Logprobs | null;
      choices[index] = {
        text: (before?.text ?? '') + text,
        finish_reason,
        logprobs: told && {
          tokens: [...(before?.logprobs?.tokens ?? []), ...told.tokens],
          token_logprobs: [...(before?.logprobs?.token_logprobs ?? []), ...told.token_logprobs],
          top_logprobs: [...(before?.logprobs?.top_logprobs ?? []), ...told.top_logprobs],
          text_offset: [...(before?.logprobs?.text_offset ?? []), ...told.text_offset],
        },
      };
    }
  }
  return { choices, usage, chunks };
}

/** Where characters, not halves of them, begin in a text. */
const from = (text: string, offset: number) => [...text].slice(offset).join('');

describe('models', () => {
  it('are the policies, not the reward models', async () => {
    const models = (await client.models.list()).data;
    expect(models.map(({ id }) => id).sort()).toEqual(['comparisons', 'sft']);
    const sft = await client.models.retrieve('sft');
    expect(sft).toMatchObject({ id: 'sft', object: 'model', owned_by: 'rlhf-streams', version: 30 });
    expect(models).toContainEqual(sft);
    expect(Math.abs(sft.created - Date.now() / 1000)).toBeLessThan(3600);
  });

  it('that are no policies are refused by what they are', async () => {
    const refused = {
      status: 400,
      code: 'model_not_a_policy',
      param: 'model',
      message: expect.stringContaining('run reward trained a reward model; expected a policy'),
    };
    await expect(complete({ model: 'reward' })).rejects.toMatchObject(refused);
    await expect(client.models.retrieve('reward')).rejects.toMatchObject(refused);
    const unknown = { status: 404, code: 'model_not_found', type: 'invalid_request_error' };
    await expect(complete({ model: 'nobody' })).rejects.toMatchObject(unknown);
    await expect(client.models.retrieve('nobody')).rejects.toBeInstanceOf(OpenAI.NotFoundError);
  });
});

describe('a stream', () => {
  it.each<Partial<Request>>([
    {},
    { n: 3 },
    { prompt: ['The film was', 'A', 'The film was'] },
    { stop: ['e', ' a '] },
    { logprobs: 2 },
    { logprobs: 0, stop: 'o', n: 2 },
    { echo: true, logprobs: 1, temperature: 0 },
    { max_tokens: 0, echo: true },
  ])('says what is said at once: %j', async (more) => {
    const { choices, usage } = await complete(more);
    const stream = await streamed(more);
    expect(stream.choices).toEqual(
      choices.map(({ text, finish_reason, logprobs }) => ({ text, finish_reason, logprobs })),
    );
    expect(stream.usage).toEqual(usage);
  });

  it('comes token by token', async () => {
    expect((await streamed()).chunks).toBeGreaterThan(1);
  });
});

describe('a completion', () => {
  it('ends before a stop, and costs no more than that', async () => {
    const whole = await textOf();
    const stop = whole.slice(3, 5);
    const { choices, usage } = await complete({ stop: ['never said', stop] });
    expect(choices[0]).toMatchObject({ text: whole.slice(0, whole.indexOf(stop)), finish_reason: 'stop' });
    expect(usage!.completion_tokens).toBeLessThan(12);
  });

  it('has the same text for a seed, whatever is asked for beside it', async () => {
    const alone = await textOf();
    const others = await complete({ prompt: ['A', 'The film was', 'The', 'The film was'], n: 2 });
    const texts = others.choices.map(({ text }) => text);
    expect(texts[2]).toBe(alone);
    // The same prompt again is another sample of it, as with n.
    const four = (await complete({ n: 4 })).choices.map(({ text }) => text);
    expect([...texts.slice(2, 4), ...texts.slice(6)]).toEqual(four);
    expect(new Set(four).size).toBe(4);
  });

  it('of tokens follows those and no others', async () => {
    const scored = await complete({ echo: true, logprobs: 0, max_tokens: 0 });
    expect(scored.choices[0]!.logprobs!.tokens!.join('')).toBe('The film was');
    const begun = await complete({ prompt: [0, 40], echo: true, max_tokens: 0 });
    expect(begun.choices[0]!.text).toMatch(/^<\|endoftext\|>./);
    expect(begun.usage).toEqual({ prompt_tokens: 2, completion_tokens: 0, total_tokens: 2 });
    const both = await complete({
      prompt: [
        [0, 40],
        [0, 41],
      ],
    });
    expect(both.choices[0]!.text).toBe(await textOf({ prompt: [0, 40] }));
    expect(both.choices[1]!.text).toBe(await textOf({ prompt: [0, 41] }));
  });

  it('tells the log-probs of its tokens, and of the likeliest', async () => {
    const { choices } = await complete({ logprobs: 3, temperature: 0 });
    const [{ text, logprobs }] = choices as [OpenAI.CompletionChoice];
    const { tokens, token_logprobs, top_logprobs, text_offset } = logprobs as Logprobs;
    expect(tokens.join('')).toBe(text);
    expect(text_offset[0]).toBe('The film was'.length);
    tokens.forEach((token, i) => {
      expect(from(`The film was${text}`, text_offset[i]!).startsWith(token)).toBe(true);
      expect(Math.max(...Object.values(top_logprobs[i]!))).toBe(token_logprobs[i]);
      expect(top_logprobs[i]![token]).toBe(token_logprobs[i]);
      expect(Object.keys(top_logprobs[i]!)).toHaveLength(3);
    });
  });

  it('echoes its prompt, with log-probs where they are asked for', async () => {
    const { choices } = await complete({ echo: true, logprobs: 1 });
    const [{ text, logprobs }] = choices as [OpenAI.CompletionChoice];
    const { tokens, token_logprobs, text_offset } = logprobs as Logprobs;
    expect(text.startsWith('The film was')).toBe(true);
    expect(tokens.length).toBe(token_logprobs.length);
    expect(text_offset.slice(0, 2)).toEqual([0, tokens[0]!.length]);
    // Nothing comes before the first token of a prompt, so it has no log-prob.
    const alone = await complete({ prompt: [0], echo: true, logprobs: 1, max_tokens: 0 });
    expect(alone.choices[0]!.logprobs).toEqual({
      tokens: ['<|endoftext|>'],
      token_logprobs: [null],
      top_logprobs: [null],
      text_offset: [0],
    });
  });

  it('takes what asks for nothing', async () => {
    const neutral = {
      best_of: 1,
      frequency_penalty: 0,
      logit_bias: {},
      logprobs: null,
      presence_penalty: null,
      stop: null,
      suffix: null,
      user: 'somebody',
    };
    expect(await textOf(neutral)).toBe(await textOf());
  });
});

describe('what cannot be done is said', () => {
  it.each<[Partial<Request>, string, string, RegExp]>([
    [{ presence_penalty: 0.5 }, 'invalid_request', 'presence_penalty', /presence_penalty: is not supported/],
    [{ best_of: 4 }, 'invalid_request', 'best_of', /not supported/],
    [
      { max_tokens: 100 },
      'context_length_exceeded',
      'max_tokens',
      /at most 32 tokens.* got \d+ in prompt and 100/,
    ],
    [{ prompt: 'a film '.repeat(40) }, 'context_length_exceeded', 'prompt', /at most 32 tokens/],
    [
      { prompt: ['A', 'a film '.repeat(40)] },
      'context_length_exceeded',
      'prompt[1]',
      /got \d+ in prompt\[1\]/,
    ],
  ])('%j', async (more, code, param, message) => {
    const error = { status: 400, code, param, message: expect.stringMatching(message) };
    await expect(complete(more)).rejects.toMatchObject(error);
    await expect(streamed(more)).rejects.toMatchObject(error);
  });

  it('of tokens that the model does not have', async () => {
    const error = { status: 400, message: expect.stringContaining('expected token ids below 320, got 5000') };
    await expect(streamed({ prompt: [5000] })).rejects.toMatchObject(error);
  });

  it('of paths there are not', async () => {
    await expect(client.embeddings.create({ model: 'sft', input: 'x' })).rejects.toMatchObject({
      status: 404,
      message: expect.stringContaining('/v1/embeddings'),
    });
  });

  it('of a conversation with a model that has no chat template', async () => {
    const messages = [{ role: 'user' as const, content: 'x' }];
    await expect(client.chat.completions.create({ model: 'sft', messages })).rejects.toMatchObject({
      status: 400,
      code: 'model_chat_template_missing',
      param: 'messages',
      message: expect.stringMatching(/expected a model with a chat template .*name such a model/),
    });
  });
});
