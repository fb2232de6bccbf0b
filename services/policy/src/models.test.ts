import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ModelRef } from '@rlhf-streams/events';
import {
  initialiseWeights,
  loadTokenizer,
  type ModelConfig,
  newModelConfig,
  trainByteLevelBpe,
  trainedModel,
  withScalarHead,
  writeAdapter,
  writeCheckpoint,
} from '@rlhf-streams/model';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Piece } from './completion-text.js';
import { createPolicyHosts, type PolicyHosts, type PolicyModel } from './models.js';
import type { CompletionWork, Conversation } from './thread.js';

const files = trainByteLevelBpe(['The film was fine. ', 'The film was not. '], { vocabSize: 300 });
const tokenizer = loadTokenizer(files.json, files.config);
const config = newModelConfig({
  architecture: 'gpt2',
  vocabSize: tokenizer.vocabSize,
  contextLength: 256,
  width: 16,
  layers: 1,
  heads: 2,
});
const listening = { signal: new AbortController().signal };

let folder: string;
let hosts: PolicyHosts;
let policy: PolicyModel;
const stopping = new AbortController();
const onStop: (() => void | Promise<void>)[] = [];

/** Where the host finds a model of this shape: the store's folders are named by their artifacts. */
async function write(name: string, config: ModelConfig, more: object = {}) {
  const directory = join(folder, name);
  const tokenizer = { json: files.json, config: { ...(files.config as object), ...more } };
  await writeCheckpoint(directory, { config, tensors: initialiseWeights(config, 1), tokenizer });
  return { base: { uri: directory, sha256: name } };
}

/** A model with an adapter that changes what it says, on one that `write` wrote. */
async function writeOn(base: ModelRef, name: string, seed: number): Promise<ModelRef> {
  const peft = { r: 2, alpha: 64, targetModules: ['c_attn', 'c_fc'] };
  const adapted = trainedModel(config, { head: 'language', peft, isPublished: true });
  const tensors = [...initialiseWeights(adapted, seed)].map(
    ([name, { shape, data }]) =>
      [name, { shape, data: data.map((x, i) => x || Math.sin(seed + i)) }] as const,
  );
  const directory = join(folder, name);
  await writeAdapter(directory, { config: adapted, tensors: new Map(tensors), base: base.base.uri });
  return { ...base, adapter: { uri: directory, sha256: name } };
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'models-'));
  const context = {
    name: 'policy',
    settings: { RLHF_DEVICE: 'cpu', RLHF_PRECISION: 'float32', RLHF_XLA: false, RLHF_MEMORY_LIMIT_BYTES: 0 },
    weightCache: { directory: join(folder, 'weights'), bytes: 0 },
    artifacts: { fetch: async ({ uri }: { uri: string }) => uri },
    readiness: { check: () => {} },
    signal: stopping.signal,
    fail: (error: unknown) => {
      throw error;
    },
    onStop: (stop: () => void | Promise<void>) => void onStop.push(stop),
  } as unknown as Parameters<typeof createPolicyHosts>[0];
  hosts = await createPolicyHosts(context, { threads: 1, slots: 2, timeoutMs: 60_000 });
  await hosts.versions.pin(await write('policy', config), context.signal).use(async (loaded) => {
    policy = loaded;
  });
});
afterAll(async () => {
  stopping.abort();
  for (const stop of onStop) await stop();
  await rm(folder, { recursive: true });
});

const workOf = (text: string, more: Partial<CompletionWork> = {}): CompletionWork => ({
  promptTokens: [tokenizer.eosId, ...tokenizer.encode(text)],
  sampling: { temperature: 1, topK: 0, topP: 1, maxNewTokens: 200, stopTokens: [] },
  seed: 1,
  draws: 'd',
  timeoutMs: 120_000,
  stops: [],
  ...more,
});

describe('a completion', () => {
  it('is told in pieces, and is what a rollout with the same draws is', async () => {
    const pieces: Piece[] = [];
    const work = workOf('The film', { logprobs: 2 });
    const told = await policy.complete(work, { ...listening, onPiece: (piece) => pieces.push(piece) });
    const rollout = await policy.generate(work);
    expect([told.text, told.count, told.finishReason]).toEqual([rollout.text, 200, 'length']);
    expect(pieces.length).toBeGreaterThan(1);
    const inPieces = pieces.map(({ text }) => text).join('');
    expect(told.text.startsWith(inPieces)).toBe(true);
    told.tokens.forEach(({ logprob, likeliest }, i) => {
      expect(logprob).toBeCloseTo(rollout.logprobs[i]!, 6);
      const [first, second, ...others] = likeliest!.map((other) => other.logprob);
      expect([first! >= second!, first! >= logprob!, others]).toEqual([true, true, []]);
    });
    const bytes = told.tokens.flatMap((token) => token.bytes ?? []);
    expect(new TextDecoder().decode(Uint8Array.from(bytes))).toBe(rollout.text);
  });

  it('may be one of many that one reader waits for', async () => {
    const warnings: Error[] = [];
    process.on('warning', (warning) => warnings.push(warning));
    const { signal } = new AbortController();
    const sampling = { ...workOf('').sampling, maxNewTokens: 1 };
    const many = Array.from({ length: 20 }, (_, i) =>
      policy.complete(workOf('The', { sampling, draws: `${i}` }), { signal }),
    );
    expect(new Set((await Promise.all(many)).map(({ count }) => count))).toEqual(new Set([1]));
    expect(warnings).toEqual([]);
  });

  it('that nobody waits for leaves its slot to others', async () => {
    const left = new AbortController();
    // Two requests have the slots, and two wait for one.
    const abandoned = Array.from({ length: 4 }, (_, i) =>
      policy
        .complete(workOf('The film', { draws: `${i}` }), {
          signal: left.signal,
          onPiece: () => left.abort(),
        })
        .catch((error) => error),
    );
    const kept = policy.complete(workOf('The film was'), listening);
    for (const error of await Promise.all(abandoned))
      expect(error).toMatchObject({ code: 'MODEL_GENERATION_ABORTED' });
    expect((await kept).count).toBe(200);
    await expect(policy.complete(workOf('The film'), { signal: left.signal })).rejects.toBe(
      left.signal.reason,
    );
  });
});

it("judges a prompt's text as it would have been generated", async () => {
  const { text, tokens } = await policy.complete(workOf('The', { logprobs: 1 }), listening);
  const generated = tokens.slice(0, 40).map(({ token }) => token);
  const ids = tokenizer.encode('The');
  const all = await policy.generate(workOf('The'));
  const prompt = {
    tokens: [tokenizer.eosId, ...ids, ...all.tokens.slice(0, 40)],
    text,
    begin: 1,
  };
  const judged = await policy.judge({ prompt, logprobs: 1, timeoutMs: 120_000 }, listening);
  expect(judged).toHaveLength(ids.length + 40);
  expect(judged[0]).toMatchObject({ offset: 0, logprob: expect.any(Number) });
  judged.slice(ids.length).forEach(({ token, logprob }, i) => {
    expect(token).toBe(generated[i]);
    expect(logprob).toBeCloseTo(all.logprobs[i]!, 4);
  });
  const [first, second] = await policy.judge(
    { prompt: { ...prompt, begin: 0 }, logprobs: 1, timeoutMs: 120_000 },
    listening,
  );
  expect(first).toEqual({ token: '<|endoftext|>', bytes: null, offset: 0 });
  expect(second).toEqual({ ...judged[0], offset: '<|endoftext|>'.length });
});

it('reads texts after the token that begins one, and tokens as they are', async () => {
  const ids = tokenizer.encode('The film');
  expect(await policy.encode(['The film', ids])).toEqual({
    prompts: [
      { tokens: [tokenizer.eosId, ...ids], text: 'The film', begin: 1 },
      { tokens: ids, text: 'The film', begin: 0 },
    ],
    stopTokens: [tokenizer.eosId],
    contextLength: 256,
  });
  await expect(policy.encode([[config.vocabSize]])).rejects.toMatchObject({
    code: 'MODEL_GENERATION_REQUEST',
  });
});

it('reads conversations by the chat template, with tools where it has a place for them', async () => {
  const turns = '{% for m in messages %}{{ m.content }}!{% endfor %}';
  const [messages, tools] = [[{ role: 'user', content: 'The film' }], [{ function: { name: 'f' } }]];
  let written = 0;
  const encoded = async (chat_template: string | undefined, prompt: Conversation) => {
    const model = await write(`chat-${written++}`, config, { chat_template });
    return hosts.versions.use(model, async ({ encode }) => (await encode([prompt])).prompts[0]);
  };
  const text = 'The film!';
  expect(await encoded(turns, { messages })).toEqual({ text, tokens: tokenizer.encode(text), begin: 0 });
  const withTools = `${turns}{% if tools %}{{ tools[0].function.name }}{% endif %}`;
  expect(await encoded(withTools, { messages, tools })).toMatchObject({ text: 'The film!f' });
  expect(await encoded(withTools, { messages })).toMatchObject({ text });
  await expect(encoded(turns, { messages, tools })).rejects.toMatchObject({
    code: 'MODEL_CHAT_TEMPLATE_TOOLS',
  });
  await expect(encoded(undefined, { messages })).rejects.toMatchObject({
    code: 'MODEL_CHAT_TEMPLATE_MISSING',
  });
});

it('refuses a model that scores texts', async () => {
  const model = await write('reward', withScalarHead(config));
  await expect(hosts.versions.use(model, async () => {})).rejects.toMatchObject({
    code: 'MODEL_NOT_A_POLICY',
    message: expect.stringMatching(/expected a model that generates text, got a reward model/),
  });
});

describe('models on one base', () => {
  const generated = (model: ModelRef) =>
    hosts.frozen.use(model, async (policy) => (await policy.generate(workOf('The film'))).tokens);

  it('take turns, each as it is, and have it in memory once', async () => {
    const base = await write('base', config);
    const adapters = await Promise.all([1, 2, 3, 4].map((seed) => writeOn(base, `adapter-${seed}`, seed)));
    const models = [base, ...adapters];
    const alone: (readonly number[])[] = [];
    for (const model of models) alone.push(await generated(model));
    expect(new Set(alone.map(String)).size).toBe(models.length);
    const together = await Promise.all(models.map(generated));
    expect(together).toEqual(alone);
    // ONNX Runtime maps a file where it uses it.
    const maps = (await readFile('/proc/self/maps', 'utf8')).split('\n');
    const files = maps.flatMap((line) => line.match(/\/.*/) ?? []).filter((file) => file.startsWith(folder));
    expect(new Set(files)).toEqual(new Set([join(base.base.uri, 'model.safetensors')]));
  });

  it('of another shape, or without its files, are refused by what is wrong with the adapter', async () => {
    const other = await write('other', { ...config, layers: 2 } as ModelConfig);
    const base = await write('plain', config);
    const adapter = await writeOn(base, 'adapter-plain', 1);
    await expect(generated({ ...other, adapter: base.base })).rejects.toMatchObject({
      code: 'MODEL_CHECKPOINT_MISSING',
      message: expect.stringContaining('plain has no adapter_config.json'),
    });
    await rm(join(adapter.adapter!.uri, 'adapter_model.safetensors'));
    await expect(generated(adapter)).rejects.toMatchObject({
      code: 'MODEL_CHECKPOINT_MISSING',
      message: expect.stringContaining('adapter-plain has no adapter_model.safetensors'),
    });
  });
});
