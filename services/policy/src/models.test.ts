import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  initialiseWeights,
  loadTokenizer,
  type ModelConfig,
  newModelConfig,
  trainByteLevelBpe,
  withScalarHead,
  writeCheckpoint,
} from '@rlhf-streams/model';
import type { ModelHost } from '@rlhf-streams/serving';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Piece } from './completion-text.js';
import { createPolicyHost, type PolicyModel } from './models.js';
import type { CompletionWork } from './thread.js';

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
let host: ModelHost<PolicyModel>;
let policy: PolicyModel;
const stopping = new AbortController();
const onStop: (() => void | Promise<void>)[] = [];

/** Where the host finds a model of this shape: the store's folders are named by their artifacts. */
async function write(name: string, config: ModelConfig) {
  const directory = join(folder, name);
  await writeCheckpoint(directory, { config, tensors: initialiseWeights(config, 1), tokenizer: files });
  return { base: { uri: directory, sha256: name } };
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'models-'));
  const context = {
    name: 'policy',
    settings: { RLHF_DEVICE: 'cpu', RLHF_MEMORY_LIMIT_BYTES: 0 },
    artifacts: { fetch: async ({ uri }: { uri: string }) => uri },
    readiness: { check: () => {} },
    signal: stopping.signal,
    fail: (error: unknown) => {
      throw error;
    },
    onStop: (stop: () => void | Promise<void>) => void onStop.push(stop),
  } as unknown as Parameters<typeof createPolicyHost>[0];
  host = await createPolicyHost(context, { threads: 1, slots: 2, timeoutMs: 60_000 });
  await host.pin(await write('policy', config), context.signal).use(async (loaded) => {
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
    told.tokens.forEach(({ logprob, top }, i) => {
      expect(logprob).toBeCloseTo(rollout.logprobs[i]!, 6);
      expect(Object.keys(top!).length).toBeOneOf([2, 3]);
      expect(Object.values(top!)).toContain(logprob);
    });
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
  expect(first).toEqual({ token: '<|endoftext|>', offset: 0 });
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

it('refuses a model that scores texts', async () => {
  const model = await write('reward', withScalarHead(config));
  await expect(host.use(model, async () => {})).rejects.toMatchObject({
    code: 'MODEL_NOT_A_POLICY',
    message: expect.stringMatching(/expected a model that generates text, got a reward model/),
  });
});
