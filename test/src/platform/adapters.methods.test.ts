/** Low-rank adapters through the whole loop: every model of every run stands on one base, which lies in memory once. */
import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { DataFor, ModelRef } from '@rlhf-streams/events';
import { followRun, type Platform, requestRun, type ServiceName, startPlatform } from 'rlhf-streams';
import { afterAll, beforeAll, expect, it } from 'vitest';
import {
  oneThread,
  tinyComparisons,
  tinyDpo,
  tinyPpo,
  tinyReward,
  tinySft,
  writeReviews,
} from './tiny-runs.js';

const peft = { r: 2 };

let folder: string;
let platform: Platform;
/** The newest version of each run. */
const versions = new Map<string, ModelRef>();
const started = new Map<string, DataFor<'run.started'>>();

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'adapters-'));
  const data = await writeReviews(folder);
  platform = await startPlatform({
    directory: join(folder, 'log'),
    logLevel: 'error',
    environment: oneThread,
  });
  for (const config of [
    { ...tinySft(data), run: 'base', steps: 1 },
    { ...tinySft(data), model: 'run:base', steps: 2, peft },
    { ...tinyComparisons(data), steps: 2 },
    { ...tinyReward(), steps: 2, peft: {} },
    { ...tinyPpo(data, 'run:sft'), scorers: ['run:reward'], value: 'shared', steps: 2, peft: {} },
    { ...tinyDpo(), steps: 2, peft: {} },
    // A further policy on the base: a new adapter, whose reference is the base alone.
    { ...tinyDpo(), run: 'anew', model: 'run:base', steps: 1, peft },
  ]) {
    await requestRun(platform, config);
    await followRun(platform, config.run, {});
  }
  for await (const { type, data } of platform.events.readAll(['runs', 'policy-versions'])) {
    if (type === 'run.started') started.set(data.run, data);
    else if (type === 'policy.published') versions.set(data.run, data.model);
  }
});
afterAll(async () => {
  await platform.close();
  await rm(folder, { recursive: true });
});

const isAdapter = ({ adapter }: ModelRef) => adapter !== undefined;

it('publishes adapters on the base that the first run trained, and nothing else', async () => {
  const { base } = versions.get('base')!;
  for (const run of ['sft', 'reward', 'ppo', 'dpo', 'anew']) {
    const model = versions.get(run)!;
    expect([run, model.base, isAdapter(model)]).toEqual([run, base, true]);
    const directory = await platform.artifacts.fetch(model.adapter!);
    expect(await readdir(directory)).toEqual(
      expect.arrayContaining(['adapter_config.json', 'adapter_model.safetensors']),
    );
    const { size } = await stat(join(directory, 'adapter_model.safetensors'));
    const whole = await stat(join(await platform.artifacts.fetch(base), 'model.safetensors'));
    expect(size).toBeLessThan(whole.size / 2);
  }
});

it('starts runs from adapters, with the reference that they start from: the base alone where the adapter is new', () => {
  const [base, sft, reward] = ['base', 'sft', 'reward'].map((run) => versions.get(run));
  expect(started.get('ppo')!.models).toEqual({ policy: sft, reference: sft, 'scorer.0': reward });
  expect(started.get('dpo')!.models).toEqual({ policy: sft, reference: sft });
  expect(started.get('anew')!.models).toEqual({ policy: base, reference: base });
});

it('has the base in the memory of the process once, for policy, reward, reference and value', async () => {
  // ONNX Runtime maps a file of weights where programs use it. The policy may have one laid out for it besides.
  const lines = (await readFile('/proc/self/maps', 'utf8')).split('\n');
  const files = [...new Set(lines.flatMap((line) => line.match(/\/.*/) ?? []))];
  const base = await platform.artifacts.fetch(versions.get('base')!.base);
  expect(files.filter((file) => file.endsWith('.safetensors'))).toEqual([join(base, 'model.safetensors')]);
  expect(files.filter((file) => file.endsWith('.weights')).length).toBeLessThanOrEqual(1);
});

it('answers over HTTP by each adapter', async () => {
  const send = async (service: ServiceName, path: string, request: unknown) => {
    const { request: ask } = platform.services.find(({ name }) => name === service)!;
    const response = await ask(path, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(request),
    });
    expect(response.status).toBe(200);
    return response.json();
  };
  const expectUnknown = async (model: string) => {
    const { request: ask } = platform.services.find(({ name }) => name === 'policy')!;
    const response = await ask('/v1/completions', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ model, prompt: 'The film' }),
    });
    expect(response.status).toBe(404);
    expect(await response.text()).toContain('of which there are 0, 1, 2; got 9');
  };
  const complete = async (model: string) => {
    const { choices } = (await send('policy', '/v1/completions', {
      model,
      prompt: 'The film',
      max_tokens: 12,
      temperature: 0,
      logprobs: 0,
    })) as { choices: { logprobs: { token_logprobs: number[] } }[] };
    return choices[0]!.logprobs.token_logprobs;
  };
  // A version by its number; 0 is what a run started from, of a new adapter the base alone.
  const models = ['base', 'sft', 'ppo@1', 'ppo', 'dpo', 'anew'];
  const alone: number[][] = [];
  for (const model of models) alone.push(await complete(model));
  expect(new Set(alone.map(String)).size).toBe(models.length);
  expect(await Promise.all(models.map(complete))).toEqual(alone);
  expect(await complete('ppo@2')).toEqual(alone[3]);
  expect(await complete('sft@0')).toEqual(await complete('anew@0'));
  await expectUnknown('ppo@9');
  const judged = (await send('reference', '/v1/logprobs', { run: 'dpo', texts: ['The film'] })) as object;
  const { base, adapter } = versions.get('sft')!;
  expect(judged).toMatchObject({ reference: base, adapter });
  const { scores } = (await send('reward', '/v1/scores', { run: 'ppo', texts: ['The film'] })) as {
    scores: { score: number }[];
  };
  expect(scores[0]!.score).not.toBe(0);
});
