/** Conversations with the policy service, as OpenAI's own client has them. */
import { cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { openScorers } from '@rlhf-streams/scorers';
import OpenAI from 'openai';
import { followRun, type Platform, requestRun, startPlatform } from 'rlhf-streams';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { oneThread } from './tiny-runs.js';

type Request = OpenAI.Chat.ChatCompletionCreateParamsNonStreaming;
type Chunk = OpenAI.Chat.ChatCompletionChunk;

const fixture = (path: string) =>
  fileURLToPath(new URL(`../../../libs/model/fixtures/${path}`, import.meta.url));
const [IM_START, IM_END] = ['<|im_start|>', '<|im_end|>'];
const TEMPLATE = `{% for m in messages %}${IM_START}{{ m.role }}\n{{ m.content }}${IM_END}\n{% endfor %}{% if add_generation_prompt %}${IM_START}assistant\n{% endif %}`;
/** All that the model learns to say. */
const VERDICT = '[[7]]';

let folder: string;
let platform: Platform;
let client: OpenAI;
let url: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'openai-chat-'));
  const model = join(folder, 'model');
  await mkdir(model);
  for (const name of ['config.json', 'model.safetensors'])
    await cp(fixture(`models/llama-tied/${name}`), join(model, name));
  await cp(fixture('tokenizers/qwen2/tokenizer.json'), join(model, 'tokenizer.json'));
  await writeFile(join(model, 'tokenizer_config.json'), '{"eos_token": "<|endoftext|>"}');
  await writeFile(join(model, 'chat_template.jinja'), TEMPLATE);
  await writeFile(join(model, 'generation_config.json'), '{"eos_token_id": [0, 3]}');
  const rows = ['a', 'good film', 'Rate it', 'film', 'x'].map((content) => ({
    messages: [
      { role: 'user', content },
      { role: 'assistant', content: VERDICT },
    ],
  }));
  const data = join(folder, 'chats.jsonl');
  await writeFile(data, rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
  platform = await startPlatform({
    directory: join(folder, 'log'),
    logLevel: 'error',
    environment: oneThread,
  });
  await requestRun(platform, {
    run: 'chat',
    method: 'sft',
    model,
    data,
    seed: 7,
    batchSize: 4,
    microBatchSize: 4,
    steps: 60,
    optimizer: { learningRate: 1e-2 },
  });
  await followRun(platform, 'chat', {});
  url = `${platform.services.find(({ name }) => name === 'policy')!.url}/v1`;
  client = new OpenAI({ baseURL: url, apiKey: 'none', maxRetries: 0 });
});
afterAll(async () => {
  await platform.close();
  await rm(folder, { recursive: true });
});

const request: Request = {
  model: 'chat',
  messages: [{ role: 'user', content: 'good film' }],
  max_tokens: 12,
  seed: 3,
};
/** So hot that the model says anything. */
const varied = { temperature: 8 };
const chat = (more: Partial<Request> = {}) => client.chat.completions.create({ ...request, ...more });

async function chunksOf(more: Partial<Request> = {}): Promise<Chunk[]> {
  const stream = await client.chat.completions.create({
    ...request,
    ...more,
    stream: true,
    stream_options: { include_usage: true },
  });
  const chunks: Chunk[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return chunks;
}

it('the model is one that is listed', async () => {
  expect((await client.models.list()).data.map(({ id }) => id)).toEqual(['chat']);
});

describe('an answer', () => {
  it('is what the model says next, up to one of the tokens that end its turns', async () => {
    const answer = await chat({ temperature: 0 });
    expect(answer).toMatchObject({
      object: 'chat.completion',
      model: 'chat',
      choices: [
        {
          index: 0,
          message: { role: 'assistant', content: VERDICT, refusal: null },
          finish_reason: 'stop',
          logprobs: null,
        },
      ],
    });
    const { prompt_tokens, completion_tokens, total_tokens } = answer.usage!;
    expect(completion_tokens).toBeGreaterThanOrEqual(2);
    expect(total_tokens).toBe(prompt_tokens + completion_tokens);
  });

  it('follows the text that the chat template makes, and no other token', async () => {
    const prompt = `${IM_START}user\ngood film${IM_END}\n${IM_START}assistant\n`;
    const completion = await client.completions.create({
      ...varied,
      model: 'chat',
      prompt,
      max_tokens: 12,
      seed: 3,
    });
    const answer = await chat(varied);
    expect(answer.choices[0]!.message.content).toBe(completion.choices[0]!.text);
    expect(answer.usage).toEqual(completion.usage);
    const parts = [
      { type: 'text' as const, text: 'good ' },
      { type: 'text' as const, text: 'film' },
    ];
    const inParts = await chat({ ...varied, messages: [{ role: 'user', content: parts }] });
    expect(inParts.choices[0]!.message.content).toBe(completion.choices[0]!.text);
  });

  it('may be long: by default it ends where the model ends it, or the context', async () => {
    const { max_tokens: _, ...unlimited } = { ...request, ...varied };
    const { choices, usage } = await client.chat.completions.create({ ...unlimited, seed: 5 });
    const [{ finish_reason }] = choices as [OpenAI.Chat.ChatCompletion.Choice];
    if (finish_reason === 'length') expect(usage!.total_tokens).toBe(128);
    else expect(usage!.completion_tokens).toBeLessThan(128);
  });

  it.each<Partial<Request>>([
    {},
    { ...varied, n: 3 },
    { ...varied, logprobs: true, top_logprobs: 2 },
    { ...varied, logprobs: true, stop: ['a', 'e'], n: 2 },
    { stop: ']' },
  ])('comes in chunks as it does at once: %j', async (more) => {
    const whole = await chat(more);
    const chunks = await chunksOf(more);
    const count = more.n ?? 1;
    const opening = chunks.slice(0, count).map(({ choices }) => choices[0]);
    expect(opening).toEqual(
      Array.from({ length: count }, (_, index) => ({
        index,
        delta: { role: 'assistant', content: '' },
        logprobs: null,
        finish_reason: null,
      })),
    );
    for (const { index, message, logprobs, finish_reason } of whole.choices) {
      const own = chunks.flatMap(({ choices }) => choices.filter((choice) => choice.index === index));
      expect(own.map(({ delta }) => delta.content ?? '').join('')).toBe(message.content);
      expect(own.flatMap((choice) => choice.logprobs?.content ?? [])).toEqual(logprobs?.content ?? []);
      expect(own.at(-1)).toMatchObject({ delta: {}, finish_reason });
      expect(own.slice(0, -1).every((choice) => choice.finish_reason === null)).toBe(true);
    }
    expect(chunks.at(-1)).toMatchObject({ object: 'chat.completion.chunk', choices: [], usage: whole.usage });
    expect(chunks.slice(0, -1).every(({ usage }) => usage === null)).toBe(true);
    expect(new Set(chunks.map(({ id }) => id)).size).toBe(1);
  });

  it('is put together by the client', async () => {
    const stream = client.chat.completions.stream({ ...request, ...varied, stream: true });
    expect(await stream.finalContent()).toBe((await chat(varied)).choices[0]!.message.content);
  });

  it('tells the log-probs of its tokens, their bytes, and the likeliest', async () => {
    const { choices } = await chat({ temperature: 0, logprobs: true, top_logprobs: 3 });
    const [{ message, logprobs }] = choices as [OpenAI.Chat.ChatCompletion.Choice];
    const tokens = logprobs!.content!;
    expect(tokens.map(({ token }) => token).join('')).toBe(message.content);
    expect(Buffer.from(tokens.flatMap(({ bytes }) => bytes!)).toString()).toBe(message.content);
    for (const { token, logprob, top_logprobs } of tokens) {
      expect(top_logprobs).toHaveLength(3);
      expect(top_logprobs[0]).toMatchObject({ token, logprob });
    }
  });

  it('ends for a client that goes away, and leaves others theirs', async () => {
    const stream = await client.chat.completions.create({ ...request, ...varied, stream: true });
    for await (const _ of stream) stream.controller.abort();
    expect((await chat({ temperature: 0 })).choices[0]!.message.content).toBe(VERDICT);
  });
});

describe('what cannot be done is said', () => {
  const tools = [{ type: 'function' as const, function: { name: 'rate' } }];

  it.each<[Partial<Request>, string, string, RegExp]>([
    [{ tools }, 'model_chat_template_tools', 'tools', /chat template leaves tools out/],
    [{ tools, tool_choice: 'required' }, 'invalid_request', 'tool_choice', /is not supported/],
    [
      { response_format: { type: 'json_object' } },
      'invalid_request',
      'response_format',
      /response_format: is not supported/,
    ],
    [
      { max_tokens: 200 },
      'context_length_exceeded',
      'max_tokens',
      /at most 128 tokens.* in messages and 200/,
    ],
    [
      { messages: [{ role: 'user', content: 'a film '.repeat(60) }] },
      'context_length_exceeded',
      'messages',
      /got \d+ in messages/,
    ],
  ])('%j', async (more, code, param, message) => {
    const error = { status: 400, code, param, message: expect.stringMatching(message) };
    await expect(chat(more)).rejects.toMatchObject(error);
    await expect(chunksOf(more)).rejects.toMatchObject(error);
  });

  it('but tools that are not to be called ask for nothing', async () => {
    const answer = await chat({ temperature: 0, tools, tool_choice: 'none' });
    expect(answer.choices[0]!.message.content).toBe(VERDICT);
  });
});

it('a served model is a judge', async () => {
  const judge = {
    url: `${url}/chat/completions`,
    model: 'chat',
    scoreTemplate: '{{completion}}',
    maxTokens: 16,
  };
  const file = join(folder, 'scorers.json');
  await writeFile(file, JSON.stringify({ served: { judge } }));
  const scorers = await openScorers({ file, environment: {}, directory: folder });
  try {
    expect(await scorers.score('served', { prompt: 'p', completion: 'good film' })).toEqual({ score: 7 });
  } finally {
    await scorers.close();
  }
});
