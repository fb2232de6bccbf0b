/** A model whose files other programs wrote: its own special tokens, and no token before a text. */
import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { loadTokenizer, readCheckpoint, rewardScorer } from '@rlhf-streams/model';
import type { RunConfigInput } from '@rlhf-streams/runs';
import { bundledCorpus } from '@rlhf-streams/sentiment';
import { onnxEngine } from '@rlhf-streams/tensor';
import { followRun, type Platform, requestRun, type ServiceName, startPlatform } from 'rlhf-streams';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { oneThread } from './tiny-runs.js';

const fixture = (path: string) =>
  fileURLToPath(new URL(`../../../libs/model/fixtures/${path}`, import.meta.url));
const END = 0;
/** Generation ends at it too. */
const END_OF_TURN = 300;
const CHAT_TEMPLATE =
  "{% for message in messages %}{{ message.role + ': ' + message.content + '\n' }}{% endfor %}{% if add_generation_prompt %}{{ 'assistant:' }}{% endif %}";

/** The golden model under other names of its tokens. */
async function writeForeign(model: string, directory: string): Promise<string> {
  await mkdir(directory);
  await cp(fixture(`models/${model}/model.safetensors`), join(directory, 'model.safetensors'));
  const config = JSON.parse(await readFile(fixture(`models/${model}/config.json`), 'utf8'));
  await writeFile(join(directory, 'config.json'), JSON.stringify({ ...config, eos_token_id: null }));
  const tokenizer = await readFile(fixture('tokenizers/gpt2/tokenizer.json'), 'utf8');
  const renamed = tokenizer.replaceAll('<|endoftext|>', '</s>').replaceAll('<|pad|>', '<pad>');
  await writeFile(join(directory, 'tokenizer.json'), renamed);
  await writeFile(join(directory, 'special_tokens_map.json'), '{"eos_token": "</s>", "pad_token": "<pad>"}');
  await writeFile(join(directory, 'chat_template.jinja'), CHAT_TEMPLATE);
  await writeFile(
    join(directory, 'generation_config.json'),
    JSON.stringify({ eos_token_id: [END_OF_TURN, END] }),
  );
  await writeFile(join(directory, 'training_args.bin'), 'weights');
  return directory;
}

let folder: string;
let platform: Platform;
let scorer: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'foreign-'));
  platform = await startPlatform({
    directory: join(folder, 'log'),
    logLevel: 'error',
    environment: oneThread,
  });
  const model = await writeForeign('gpt2', join(folder, 'model'));
  scorer = await writeForeign('gpt2-seqcls', join(folder, 'scorer'));
  const write = async (name: string, rows: readonly object[]) => {
    await writeFile(join(folder, name), rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
    return join(folder, name);
  };
  const words = bundledCorpus({ size: 40 }).map(({ text }) => text.split(' ').slice(0, 6));
  const texts = await write(
    'texts.jsonl',
    words.map((some) => ({ text: some.join(' ') })),
  );
  const pairs = await write(
    'pairs.jsonl',
    words.map((some, i) => ({
      prompt: i % 2 === 0 ? '' : some.slice(0, 2).join(' '),
      chosen: some.slice(2).join(' '),
      rejected: some.slice(2).reverse().join(' '),
    })),
  );
  const prompts = await write('prompts.jsonl', [{ prompt: '' }, { prompt: 'The film' }]);
  const common = { model, steps: 2, batchSize: 8, microBatchSize: 4, optimizer: { learningRate: 1e-3 } };
  const sampling = { maxNewTokens: 4 };
  const runs: RunConfigInput[] = [
    { ...common, run: 'sft', method: 'sft', data: texts },
    { ...common, run: 'dpo', method: 'dpo', data: pairs },
    { ...common, run: 'reward', method: 'reward', data: pairs },
    {
      run: 'sample',
      method: 'sample',
      model,
      reference: model,
      prompts,
      testFraction: 0,
      scorers: [scorer, 'run:reward'],
      steps: 1,
      batchSize: 2,
      sampling,
    },
  ];
  for (const run of runs) {
    await requestRun(platform, run);
    await followRun(platform, run.run, {});
  }
});
afterAll(async () => {
  await platform.close();
  await rm(folder, { recursive: true });
});

async function published(run: string): Promise<string> {
  for await (const { type, data } of platform.events.readAll(['policy-versions'])) {
    if (type === 'policy.published' && data.run === run && data.version === 2)
      return platform.artifacts.fetch(data.model.base);
  }
  throw new Error(`expected run ${run} to have published version 2`);
}

async function post<Body>(service: ServiceName, path: string, request: unknown): Promise<Body> {
  const { request: send } = platform.services.find(({ name }) => name === service)!;
  const response = await send(path, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(request),
  });
  const body = (await response.json()) as Body;
  expect([response.status, body]).toEqual([200, body]);
  return body;
}

it('learns texts from their first token on, without one before it', async () => {
  const { encode } = loadTokenizer(...(await tokenizerIn(join(folder, 'model'))));
  const text = bundledCorpus({ size: 40 }).map(({ text }) => text.split(' ').slice(0, 6).join(' '));
  const expected = text.map((text) => `${[...encode(text), END]}`);
  const learned: string[] = [];
  for await (const { type, data } of platform.events.readAll(['demonstrations'])) {
    if (type !== 'demonstration.recorded') continue;
    expect(data.promptTokens).toEqual([]);
    learned.push(`${data.tokens}`);
  }
  expect(learned.length).toBeGreaterThanOrEqual(16);
  expect(learned.filter((tokens) => !expected.includes(tokens))).toEqual([]);
});

async function tokenizerIn(directory: string): Promise<[unknown, unknown]> {
  const { tokenizer } = await readCheckpoint(directory);
  return [tokenizer!.json, tokenizer!.config];
}

it('judges comparisons without a prompt from their second token on', async () => {
  const expected = new Map<string, number[]>();
  const judged = new Map<string, number[]>();
  for await (const { type, data } of platform.events.readAll(['comparisons', 'reference-logprobs'])) {
    if (data.run !== 'dpo') continue;
    if (type === 'comparison.recorded') {
      const skipped = data.promptTokens.length === 0 ? 1 : 0;
      const lengths = data.completions.map(({ tokens }) => tokens.length - skipped);
      expected.set(data.comparison, lengths);
    } else if (type === 'reference.scored') {
      judged.set(
        data.subject,
        data.logprobs.map(({ length }) => length),
      );
    }
  }
  expect(judged.size).toBeGreaterThanOrEqual(16);
  for (const [id, lengths] of judged) expect(lengths).toEqual(expected.get(id));
});

it('is sampled from after its prompt alone, and after the beginning of text where that is empty', async () => {
  const prompts = new Map<string, number[]>();
  for await (const { type, data } of platform.events.readAll(['prompts'])) {
    if (type !== 'prompt.issued' || data.run !== 'sample') continue;
    prompts.set(data.text, data.tokens);
    expect(data.sampling.stopTokens).toEqual([END, END_OF_TURN]);
  }
  const { encode } = loadTokenizer(...(await tokenizerIn(join(folder, 'model'))));
  expect(prompts).toEqual(
    new Map([
      ['', [END]],
      ['The film', encode('The film')],
    ]),
  );
  for (const [text, { length }] of prompts) {
    const request = { model: 'sft', prompt: text, max_tokens: 4, temperature: 0 };
    const { usage } = await post<{ usage: { prompt_tokens: number } }>('policy', '/v1/completions', request);
    expect(usage.prompt_tokens).toBe(length);
  }
});

it('is scored as the tokenizer of each scorer begins and ends texts, without one as the policy learns them', async () => {
  const text = 'The film is fine.';
  const { scores } = await post<{ scores: { score: number; parts: Record<string, number> }[] }>(
    'reward',
    '/v1/scores',
    { run: 'sample', texts: [text] },
  );
  const { encode } = loadTokenizer(...(await tokenizerIn(join(folder, 'model'))));
  const scoreIn = async (directory: string, end: number[]) => {
    const { config, tensors } = await readCheckpoint(directory);
    const parameters = Object.fromEntries([...tensors].map(([name, { data }]) => [name, data]));
    const engine = onnxEngine({ threads: 1 });
    const scorer = rewardScorer(engine, config, { hash: directory, values: parameters });
    const [score] = await scorer.score([{ tokens: [...encode(text), ...end] }]);
    await engine.close();
    return score;
  };
  expect(scores[0]!.score).toBe(await scoreIn(scorer, []));
  expect(scores[0]!.parts.reward).toBe(await scoreIn(await published('reward'), [END]));
});

it('has log-probs of the tokens that something predicts', async () => {
  const { encode } = loadTokenizer(...(await tokenizerIn(join(folder, 'model'))));
  const texts = ['The film is fine.', '!'];
  const { results } = await post<{ results: { tokens: number[]; logprobs: number[] }[] }>(
    'reference',
    '/v1/logprobs',
    { run: 'sample', texts },
  );
  expect(results.map(({ tokens }) => tokens)).toEqual(texts.map((text) => encode(text).slice(1)));
  expect(results.map(({ logprobs }) => logprobs.length)).toEqual(
    texts.map((text) => encode(text).length - 1),
  );
});

it('reads conversations by its chat template; what was asked goes along to what was sampled', async () => {
  const question = [{ role: 'user', content: 'Was it good?' }];
  const prompts = join(folder, 'chats.jsonl');
  const row = { messages: [...question, { role: 'assistant', content: 'Yes.' }], metadata: { film: 7 } };
  await writeFile(prompts, `${JSON.stringify(row)}\n`);
  const model = join(folder, 'model');
  const sampling = { maxNewTokens: 2 };
  const run = { run: 'chats', method: 'sample', model, prompts, testFraction: 0, sampling } as const;
  await requestRun(platform, { ...run, steps: 1, batchSize: 1 });
  await followRun(platform, 'chats', {});
  const { encode } = loadTokenizer(...(await tokenizerIn(model)));
  const text = 'user: Was it good?\nassistant:';
  const asked = { role: 'policy', messages: question, metadata: { film: 7 } };
  const said: unknown[] = [];
  for await (const { data } of platform.events.readAll(['prompts', 'rollouts']))
    if (data.run === 'chats') said.push(data);
  expect(said).toMatchObject([
    { ...asked, text, tokens: encode(text) },
    { ...asked, promptText: text, promptTokens: encode(text) },
  ]);
});

it('is trained on conversations: what the assistant says of them, and pairs that answer them', async () => {
  const say = (role: string, content: string) => ({ role, content });
  const asked = [say('user', 'Was it good?')];
  const [yes, no] = [say('assistant', 'Yes.'), say('assistant', 'No.')];
  const write = (name: string, row: object) => writeFile(join(folder, name), `${JSON.stringify(row)}\n`);
  await write('talk-1.jsonl', { messages: [...asked, yes, ...asked, no] });
  await write('talk-2.jsonl', { messages: [...asked, no, ...asked, yes] });
  await write('pairs-1.jsonl', { prompt: 'Was it good?', chosen: [...asked, yes], rejected: [...asked, no] });
  const common = { model: join(folder, 'model'), steps: 1, batchSize: 2, microBatchSize: 2 };
  const data = join(folder, 'talk-*.jsonl');
  const runs: RunConfigInput[] = [
    { ...common, run: 'talk-sft', method: 'sft', data, sft: { assistantOnly: true } },
    { ...common, run: 'talk-dpo', method: 'dpo', data: [join(folder, 'pairs-1.jsonl')] },
  ];
  for (const run of runs) {
    await requestRun(platform, run);
    await followRun(platform, run.run, {});
  }
  const { encode } = loadTokenizer(...(await tokenizerIn(join(folder, 'model'))));
  const learned: number[][] = [];
  for await (const { type, data } of platform.events.readAll(['demonstrations']))
    if (type === 'demonstration.recorded' && data.run === 'talk-sft')
      learned.push(data.learned!.flatMap(({ from, count }) => data.tokens.slice(from, from + count)));
  expect(learned.map(String).sort()).toEqual(
    [
      [...encode(' Yes.'), ...encode(' No.'), END],
      [...encode(' No.'), ...encode(' Yes.'), END],
    ]
      .map(String)
      .sort(),
  );
  for await (const { type, data } of platform.events.readAll(['comparisons', 'training-metrics'])) {
    if (type === 'comparison.recorded' && data.run === 'talk-dpo')
      expect(data).toMatchObject({
        promptText: 'user: Was it good?\nassistant:',
        messages: asked,
        completions: [yes, no].map(({ content }) => ({
          text: content,
          tokens: [...encode(` ${content}`), END],
        })),
      });
    if (type === 'step.completed' && data.run === 'talk-sft') expect(data.metrics.loss).toBeGreaterThan(0);
  }
});

it.each(['sft', 'dpo', 'reward'])(
  'a %s run publishes it with its names, and the files beside it',
  async (run) => {
    const directory = await published(run);
    expect((await readdir(directory)).sort()).toEqual([
      'chat_template.jinja',
      'config.json',
      'generation_config.json',
      'model.safetensors',
      'special_tokens_map.json',
      'tokenizer.json',
      'tokenizer_config.json',
    ]);
    expect(await readFile(join(directory, 'chat_template.jinja'), 'utf8')).toBe(CHAT_TEMPLATE);
    const [json, config] = await tokenizerIn(directory);
    expect(config).toMatchObject({ eos_token: '</s>', model_max_length: 96 });
    expect(loadTokenizer(json, config)).toMatchObject({ begin: [], end: run === 'reward' ? [END] : [] });
  },
);
