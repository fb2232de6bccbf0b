/** Rollouts and comparisons in, log-probs out: the service over a log in memory, with a checkpoint that transformers wrote and judged. */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type ArtifactStore, filesystemArtifacts } from '@rlhf-streams/artifacts';
import { createEvents, type Events, type NewEvent, topicSpecs } from '@rlhf-streams/bus';
import type { ArtifactRef, DataFor } from '@rlhf-streams/events';
import { type EventLog, memoryLog } from '@rlhf-streams/log';
import { readSafetensors } from '@rlhf-streams/model';
import { createLogger, type Environment, type RunningService, startService } from '@rlhf-streams/service';
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { reference } from './service.js';

const WAIT = { timeout: 60_000, interval: 5 };
const fixtures = new URL('../../../libs/model/fixtures/', import.meta.url);
const fixture = (path: string) => readFile(new URL(path, fixtures));

interface Case {
  readonly text: string;
  readonly input_ids: number[];
  /** Log-probs of tokens 1 .. length - 1. */
  readonly token_logprobs: number[];
}
let cases: [Case, Case];

let folder: string;
let store: ArtifactStore;
let model: ArtifactRef;
let log: EventLog;
let events: Events;
let service: RunningService;
/** Artifacts fetched, by sha256; those in `away` cannot be. */
const fetched: string[] = [];
const away = new Set<string>();

/** Another artifact of the same language model. */
async function languageModel(note = '', { tokenizer = true } = {}): Promise<ArtifactRef> {
  return store.putFiles({
    'config.json': await fixture('models/gpt2/config.json'),
    'model.safetensors': await fixture('models/gpt2/model.safetensors'),
    ...(tokenizer && {
      'tokenizer.json': await fixture('tokenizers/gpt2/tokenizer.json'),
      'tokenizer_config.json': await fixture('tokenizers/gpt2/tokenizer_config.json'),
    }),
    ...(note && { 'note.txt': note }),
  });
}

function start(environment: Environment = {}): Promise<RunningService> {
  const artifacts: ArtifactStore = {
    ...store,
    fetch: async (ref, options) => {
      fetched.push(ref.sha256);
      if (away.has(ref.sha256))
        throw Object.assign(new Error('no route'), { code: 'ARTIFACT_STORE_UNAVAILABLE' });
      return store.fetch(ref, options);
    },
  };
  return startService(reference, {
    log,
    artifacts,
    environment: { RLHF_DATA_DIR: folder, ...environment },
    port: 0,
    logger: createLogger({ level: 'silent' }),
  });
}

/** One service for all tests, each of which has runs of its own. */
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'reference-'));
  store = filesystemArtifacts({ directory: join(folder, 'artifacts') });
  cases = JSON.parse(`${await fixture('models/gpt2/expected.json')}`).cases;
  model = await languageModel();
  log = memoryLog();
  await log.ensureTopics(topicSpecs);
  events = createEvents({ log, source: 'test' });
  service = await start();
});
afterAll(async () => {
  await service.stop();
  await events.close();
  await log.close();
  await rm(folder, { recursive: true });
});
let run: string;
let runs = 0;
beforeEach(() => {
  run = `run-${runs++}`;
});

const methods = {
  ppo: { method: 'ppo', prompts: 'd', scorers: ['gold:d'] },
  sample: { method: 'sample', prompts: 'd' },
  dpo: { method: 'dpo', data: 'd' },
  kto: { method: 'kto', data: 'd' },
};

/** A run that has begun. */
async function begin(
  run: string,
  artifact: ArtifactRef | undefined = model,
  method: keyof typeof methods = 'ppo',
): Promise<void> {
  const config = { run, steps: 9, model: 'm', ...methods[method] };
  const models = {
    policy: { base: model },
    ...(method !== 'sample' && { reference: { base: artifact } }),
  };
  await events.publish([
    { type: 'run.requested', id: run, data: { run, config } },
    {
      type: 'run.started',
      id: `${run}/started`,
      data: { run, config, steps: 9, testItems: 0, models, artifacts: {}, from: {} },
    },
  ]);
}
const end = (run: string) =>
  events.publish([{ type: 'run.cancelled', id: `${run}/end`, data: { run, reason: 'enough' } }]);

function rollout(
  run: string,
  index: number,
  tokens: readonly number[],
  { temperature = 1, promptLength = 3 } = {},
): NewEvent {
  const prompt = `${run}/0/${index}`;
  const completion = tokens.slice(promptLength);
  return {
    type: 'rollout.generated',
    id: `${prompt}/0`,
    data: {
      run,
      step: 0,
      prompt,
      rollout: `${prompt}/0`,
      policyVersion: 3,
      promptText: '',
      promptTokens: tokens.slice(0, promptLength),
      text: '',
      tokens: completion,
      logprobs: completion.map(() => -1),
      finishReason: 'length',
      temperature,
    },
  };
}

const comparison = (
  run: string,
  promptTokens: number[],
  completions: readonly (readonly number[])[],
): NewEvent => ({
  type: 'comparison.recorded',
  id: `${run}/0/0`,
  data: {
    run,
    step: 0,
    comparison: `${run}/0/0`,
    split: 'train',
    promptText: '',
    promptTokens,
    completions: completions.map((tokens) => ({ text: '', tokens: [...tokens] })),
    ranks: completions.map((_, index) => index + 1),
    labeler: 'test',
  },
});

const thumb = (
  run: string,
  promptTokens: readonly number[],
  tokens: readonly number[],
  mismatched: readonly number[],
): NewEvent => ({
  type: 'thumb.recorded',
  id: `${run}/0/0`,
  data: {
    run,
    step: 0,
    thumb: `${run}/0/0`,
    split: 'train',
    promptText: '',
    promptTokens: [...promptTokens],
    text: '',
    tokens: [...tokens],
    label: true,
    mismatched: [...mismatched],
    labeler: 'test',
  },
});

type Answer = DataFor<'reference.scored'> | DataFor<'reference.failed'>;

/** The first answers to a run, in the order of their subjects. */
async function answers(run: string, count: number): Promise<Answer[]> {
  const found: Answer[] = [];
  for await (const { data } of events.follow({ topics: ['reference-logprobs'] })) {
    if (data.run === run) found.push(data);
    if (found.length === count) break;
  }
  return found.toSorted((a, b) => a.subject.localeCompare(b.subject, 'en', { numeric: true }));
}
/** The subjects that have answers, as often as they have them. */
async function answered(run: string): Promise<string[]> {
  const subjects: string[] = [];
  for await (const { data } of events.readAll(['reference-logprobs']))
    if (data.run === run) subjects.push(data.subject);
  return subjects.sort();
}
/** Resolves when the service is done with all there is. */
const handled = () =>
  vi.waitFor(async () => {
    const lag = await log.lag('reference', ['rollouts', 'comparisons']);
    expect(Math.max(...lag.rollouts!, ...lag.comparisons!)).toBe(0);
  }, WAIT);

const ask = (body: object) =>
  service.request('/v1/logprobs', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });

const close = (logprobs: readonly number[]) => logprobs.map((x) => expect.closeTo(x, 4));

/** Log-probs of tokens 1 .. length - 1 of the first case, from the logits that transformers computed. */
async function logprobsAt(temperature: number): Promise<number[]> {
  const { tensors } = await readSafetensors(
    fileURLToPath(new URL('models/gpt2/expected.safetensors', fixtures)),
  );
  const { data, shape } = tensors.get('case0.logits')! as { data: Float32Array; shape: number[] };
  const width = shape[1]!;
  return cases[0].input_ids.slice(1).map((token, position) => {
    const logits = data.subarray(position * width, (position + 1) * width);
    const row = Array.from(logits, (x) => x / temperature);
    const most = Math.max(...row);
    const sum = row.reduce((total, x) => total + Math.exp(x - most), 0);
    return row[token]! - most - Math.log(sum);
  });
}

describe('a rollout', () => {
  it('gets the log-probs of its completion, as transformers computes them', async () => {
    await begin(run);
    await events.publish([
      rollout(run, 0, cases[0].input_ids),
      rollout(run, 1, cases[1].input_ids, { promptLength: 1 }),
    ]);
    const expected = [cases[0].token_logprobs.slice(2), cases[1].token_logprobs];
    expect(await answers(run, 2)).toEqual(
      expected.map((logprobs, index) => ({
        run,
        step: 0,
        subject: `${run}/0/${index}/0`,
        policyVersion: 3,
        logprobs: [close(logprobs)],
        reference: { base: model },
      })),
    );
  });

  it('gets them at its temperature; sampled greedily, at 1', async () => {
    await begin(run);
    await events.publish(
      [0.5, 2, 0].map((temperature, index) => rollout(run, index, cases[0].input_ids, { temperature })),
    );
    const expected = await Promise.all([0.5, 2, 1].map(logprobsAt));
    const found = (await answers(run, 3)) as DataFor<'reference.scored'>[];
    expect(found.map(({ logprobs }) => logprobs)).toEqual(expected.map((row) => [close(row.slice(2))]));
  });

  it('has the same bits whatever it is judged beside', async () => {
    await begin(run);
    const { input_ids } = cases[0];
    await events.publish(
      Array.from({ length: 100 }, (_, i) =>
        rollout(run, i, i % 3 === 0 ? input_ids : input_ids.slice(0, 4 + (i % 16))),
      ),
    );
    const found = (await answers(run, 100)) as DataFor<'reference.scored'>[];
    const same = found.filter((_, i) => i % 3 === 0).map(({ logprobs }) => JSON.stringify(logprobs));
    expect(new Set(same).size).toBe(1);
    expect(JSON.parse(same[0]!)).toEqual([close(cases[0].token_logprobs.slice(2))]);
  });

  it('that is too long fails with its cause, and none beside it', async () => {
    await begin(run);
    const long = Array.from({ length: 97 }, () => 70);
    await events.publish([rollout(run, 0, cases[0].input_ids), rollout(run, 1, long)]);
    expect(await answers(run, 2)).toMatchObject([
      { logprobs: [close(cases[0].token_logprobs.slice(2))] },
      {
        subject: `${run}/0/1/0`,
        policyVersion: 3,
        cause: { code: 'MODEL_SEQUENCE_LENGTH', message: expect.stringContaining('got 97') },
      },
    ]);
  });

  it('that comes before its run waits for it', async () => {
    await events.publish([rollout(run, 0, cases[0].input_ids)]);
    await begin(run);
    expect(await answers(run, 1)).toMatchObject([{ logprobs: [close(cases[0].token_logprobs.slice(2))] }]);
  });
});

describe('a comparison', () => {
  it('gets a row for each of its completions, at temperature 1', async () => {
    await begin(run, model, 'dpo');
    const [a, b] = cases.map(({ input_ids }) => input_ids) as [number[], number[]];
    await events.publish([comparison(run, [], [a, b])]);
    expect(await answers(run, 1)).toEqual([
      {
        run,
        step: 0,
        subject: `${run}/0/0`,
        // The first token has no log-prob, because no token comes before it.
        logprobs: cases.map(({ token_logprobs }) => close(token_logprobs)),
        reference: { base: model },
      },
    ]);
  });
});

describe('a thumb', () => {
  it('gets a row for its completion and one for the mismatched completion, both after its prompt', async () => {
    await begin(run, model, 'kto');
    const [{ input_ids, token_logprobs }] = cases;
    await events.publish([thumb(run, input_ids.slice(0, 2), input_ids.slice(2), input_ids.slice(2, 5))]);
    const own = close(token_logprobs.slice(1));
    expect(await answers(run, 1)).toMatchObject([
      { subject: `${run}/0/0`, logprobs: [own, own.slice(0, 3)], reference: { base: model } },
    ]);
  });
});

it('leaves alone what its run does not join, runs without a reference, and those that have ended', async () => {
  const [dpo, none, ended] = [`${run}-dpo`, `${run}-none`, `${run}-ended`];
  await begin(run);
  await begin(dpo, model, 'dpo');
  await begin(none, undefined, 'sample');
  await begin(ended);
  await end(ended);
  const tokens = cases[0].input_ids;
  await events.publish([
    comparison(run, tokens, [tokens, tokens]),
    rollout(dpo, 0, tokens),
    rollout(none, 0, tokens),
    rollout(ended, 0, tokens),
  ]);
  await handled();
  expect((await Promise.all([run, dpo, none, ended].map(answered))).flat()).toEqual([]);
});

it('what is no event goes to the dead letters, and the next one is answered', async () => {
  await begin(run);
  const headers = { ce_type: 'rollout.generated', ce_id: 'x' };
  await log.publish([{ topic: 'rollouts', key: `${run}/0/0`, value: JSON.stringify({ run }), headers }]);
  await events.publish([rollout(run, 0, cases[0].input_ids)]);
  await answers(run, 1);
  for await (const { data } of events.follow({ topics: ['dead-letters'] })) {
    expect(data).toMatchObject({
      service: 'reference',
      source: { topic: 'rollouts' },
      cause: { code: 'EVENT_INVALID' },
    });
    break;
  }
});

it('while its reference cannot be fetched, a run waits and /readyz says for what', async () => {
  const own = await languageModel(run);
  away.add(own.sha256);
  await begin(run, own);
  await events.publish([rollout(run, 0, cases[0].input_ids)]);
  await vi.waitFor(async () => {
    const response = await service.request('/readyz');
    expect(response.status).toBe(503);
    expect(await response.json()).toMatchObject({
      failing: { references: `expected reference ${own.sha256} to be fetched: no route` },
    });
    expect((await ask({ run, texts: ['x'] })).status).toBe(503);
  }, WAIT);
  expect(await answered(run)).toEqual([]);
  away.clear();
  expect(await answers(run, 1)).toMatchObject([{ reference: { base: own } }]);
  await vi.waitFor(async () => expect((await service.request('/readyz')).status).toBe(200), WAIT);
});

it('a model that gives scores is no reference', async () => {
  const scores = await store.putFiles({
    'config.json': await fixture('models/gpt2-seqcls/config.json'),
    'model.safetensors': await fixture('models/gpt2-seqcls/model.safetensors'),
  });
  await begin(run, scores);
  await events.publish([rollout(run, 0, cases[0].input_ids)]);
  expect(await answers(run, 1)).toMatchObject([{ cause: { code: 'MODEL_ROLE' } }]);
});

it('judges nothing again after a restart', async () => {
  await begin(run);
  await events.publish([rollout(run, 0, cases[0].input_ids)]);
  await answers(run, 1);
  await handled();
  await service.stop();
  service = await start();
  await events.publish([rollout(run, 1, cases[1].input_ids)]);
  await answers(run, 2);
  await handled();
  expect(await answered(run)).toEqual([`${run}/0/0/0`, `${run}/0/1/0`]);
});

describe('POST /v1/logprobs', () => {
  const begun = async (artifact = model) => {
    await begin(run, artifact);
    await vi.waitFor(async () => expect((await ask({ run, texts: ['x'] })).status).not.toBe(404), WAIT);
  };

  it('judges texts, at a temperature', async () => {
    await begun();
    const [{ text, input_ids, token_logprobs }] = cases;
    const response = await ask({ run, texts: [text] });
    expect(response.status).toBe(200);
    const sum = expect.closeTo(
      token_logprobs.reduce((a, b) => a + b),
      3,
    );
    expect(await response.json()).toEqual({
      run,
      reference: model,
      results: [{ tokens: input_ids.slice(1), logprobs: close(token_logprobs), sum }],
    });
    expect(await (await ask({ run, texts: [text], temperature: 2 })).json()).toMatchObject({
      results: [{ logprobs: close(await logprobsAt(2)) }],
    });
  });

  it('says which text is too long, and answers those that are asked beside it', async () => {
    await begun();
    const [good, bad] = await Promise.all([
      ask({ run, texts: ['x'] }),
      ask({ run, texts: ['x', 'long '.repeat(200)] }),
    ]);
    expect(good.status).toBe(200);
    expect(await bad.json()).toMatchObject({
      status: 400,
      code: 'MODEL_SEQUENCE_LENGTH',
      errors: [{ path: 'texts[1]', code: 'too_big' }],
    });
  });

  it('refuses runs without a reference, and what does not fit the schema', async () => {
    expect(await (await ask({ run: 'nobody', texts: ['x'] })).json()).toMatchObject({
      status: 404,
      code: 'REFERENCE_NOT_FOUND',
    });
    expect(await (await ask({ run, texts: ['x', ''] })).json()).toMatchObject({
      status: 400,
      code: 'INVALID_REQUEST',
      errors: [{ path: 'texts[1]' }],
    });
  });

  it('needs a tokenizer, which rollouts do not', async () => {
    await begun(await languageModel('', { tokenizer: false }));
    await events.publish([rollout(run, 0, cases[0].input_ids)]);
    expect(await answers(run, 1)).toMatchObject([{ logprobs: [close(cases[0].token_logprobs.slice(2))] }]);
    expect(await (await ask({ run, texts: ['x'] })).json()).toMatchObject({ status: 500, code: 'INTERNAL' });
  });
});

it('a reference is loaded once, and leaves the memory when its run has ended and others were used since', async () => {
  const three = ['a', 'b', 'c'].map((name) => `${run}-${name}`);
  const models = await Promise.all(three.map((note) => languageModel(note)));
  for (const [index, each] of three.entries()) await begin(each, models[index]!);
  const use = (each: string) =>
    vi.waitFor(async () => expect((await ask({ run: each, texts: ['x'] })).status).toBe(200), WAIT);
  const loads = () => models.map((artifact) => fetched.filter((sha256) => sha256 === artifact.sha256).length);
  for (const each of [...three, ...three]) await use(each);
  // All three stay in memory: runs that go on name them.
  expect(loads()).toEqual([1, 1, 1]);
  for (const each of three) await end(each);
  await events.publish(three.map((each) => rollout(each, 0, cases[0].input_ids)));
  // These rollouts are left alone, which shows that the service knows that the runs have ended.
  await handled();
  for (const each of [three[1]!, three[2]!, three[1]!]) await use(each);
  expect(loads()).toEqual([1, 1, 1]);
  await use(three[0]!);
  expect(loads()).toEqual([2, 1, 1]);
});
