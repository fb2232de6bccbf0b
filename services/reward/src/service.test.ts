/** Rollouts in, rewards out: the service over a log in memory, with checkpoints that transformers wrote and scored. */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ArtifactStore, filesystemArtifacts } from '@rlhf-streams/artifacts';
import { createEvents, type Events, type NewEvent, topicSpecs } from '@rlhf-streams/bus';
import type { ArtifactRef, DataFor, ModelRef } from '@rlhf-streams/events';
import { type EventLog, memoryLog } from '@rlhf-streams/log';
import { createLogger, type Environment, type RunningService, startService } from '@rlhf-streams/service';
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { reward } from './service.js';

const WAIT = { timeout: 60_000, interval: 5 };
const fixtures = new URL('../../../libs/model/fixtures/', import.meta.url);
const fixture = (path: string) => readFile(new URL(path, fixtures));

interface Case {
  readonly input_ids: number[];
  readonly score: number;
}
let cases: Case[];
/** The text that the fixtures' tokenizer encodes to the first case. */
const TEXT = 'The log keeps every event in order,';

const gold = {
  kind: 'bag-of-words-logistic',
  version: 1,
  bias: 0.5,
  weights: { fine: 3, dull: -4 },
  l2: 1,
  trainedOn: 1,
};

let folder: string;
let store: ArtifactStore;
let scorer: ArtifactRef;
let policy: ArtifactRef;
let goldScorer: ArtifactRef;

/** Another artifact of the same reward model. */
async function rewardModel(note = ''): Promise<ArtifactRef> {
  return store.putFiles({
    'config.json': await fixture('models/gpt2-seqcls/config.json'),
    'model.safetensors': await fixture('models/gpt2-seqcls/model.safetensors'),
    ...(await tokenizerFiles()),
    ...(note && { 'note.txt': note }),
  });
}
const tokenizerFiles = async () => ({
  'tokenizer.json': await fixture('tokenizers/gpt2/tokenizer.json'),
  'tokenizer_config.json': await fixture('tokenizers/gpt2/tokenizer_config.json'),
});

let log: EventLog;
let events: Events;
let service: RunningService;
/** Artifacts fetched, by sha256; those in `away` cannot be. */
const fetched: string[] = [];
const away = new Set<string>();

/** One service for all tests, each of which has runs of its own. */
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'reward-'));
  store = filesystemArtifacts({ directory: join(folder, 'artifacts') });
  cases = (JSON.parse(`${await fixture('models/gpt2-seqcls/expected.json')}`) as { cases: Case[] }).cases;
  scorer = await rewardModel();
  policy = await store.putFiles(await tokenizerFiles());
  goldScorer = await store.putFiles({ 'gold-reward.json': JSON.stringify(gold) });
  log = memoryLog();
  await log.ensureTopics(topicSpecs);
  events = createEvents({ log, source: 'test' });
  service = await start();
});
let run: string;
let runs = 0;
beforeEach(() => {
  run = `run-${runs++}`;
});
afterAll(async () => {
  await service.stop();
  await events.close();
  await log.close();
  await rm(folder, { recursive: true });
});

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
  return startService(reward, {
    log,
    artifacts,
    environment: { RLHF_DATA_DIR: folder, ...environment },
    port: 0,
    logger: createLogger({ level: 'silent' }),
  });
}

/** A run that has begun, with scorers by the name of their source. */
async function begin(
  run: string,
  scorers: Record<string, ArtifactRef>,
  more: { policy?: ArtifactRef; method?: string } = {},
): Promise<void> {
  const sources = Object.keys(scorers);
  const { method = 'ppo' } = more;
  const config = { run, method, steps: 9, model: 'm', prompts: 'd', scorers: sources };
  const scorersOf = (isGold: boolean) =>
    sources.flatMap((source, index) =>
      source.startsWith('gold:') === isGold ? [[`scorer.${index}`, scorers[source]!] as const] : [],
    );
  const models: Record<string, ModelRef> = { policy: { base: more.policy ?? policy } };
  for (const [role, base] of scorersOf(false)) models[role] = { base };
  const artifacts = Object.fromEntries(scorersOf(true));
  await events.publish([
    { type: 'run.requested', id: run, data: { run, config } },
    {
      type: 'run.started',
      id: `${run}/started`,
      data: { run, config, steps: 9, testItems: 0, models, artifacts, from: {} },
    },
  ]);
}

/** The same, with entries of `scorers` as a configuration has them, and the models and gold rewards by role. */
async function beginWith(
  run: string,
  entries: readonly unknown[],
  used: Readonly<Record<string, ArtifactRef>> = {},
  more: object = {},
): Promise<void> {
  const config = { run, method: 'ppo', steps: 9, model: 'm', prompts: 'd', scorers: entries };
  const models: Record<string, ModelRef> = { policy: { base: policy } };
  for (const [role, base] of Object.entries(used)) models[role] = { base };
  await events.publish([
    { type: 'run.requested', id: run, data: { run, config } },
    {
      type: 'run.started',
      id: `${run}/started`,
      data: { run, config, steps: 9, testItems: 0, models, artifacts: {}, from: {}, ...more },
    },
  ]);
}
const end = (run: string) =>
  events.publish([{ type: 'run.cancelled', id: `${run}/end`, data: { run, reason: 'enough' } }]);

function rollout(run: string, index: number, tokens: readonly number[], text = ''): NewEvent {
  const prompt = `${run}/0/${index}`;
  const [first, ...rest] = tokens;
  return {
    type: 'rollout.generated',
    id: `${prompt}/0`,
    data: {
      run,
      step: 0,
      prompt,
      rollout: `${prompt}/0`,
      policyVersion: 3,
      promptText: 'it was ',
      promptTokens: [first!],
      text,
      tokens: rest,
      logprobs: rest.map(() => -1),
      finishReason: 'length',
      temperature: 1,
    },
  };
}

type Answer = DataFor<'reward.scored'> | DataFor<'reward.failed'>;

/** The first answers to a run's rollouts, in the order of the rollouts. */
async function answers(run: string, count: number): Promise<Answer[]> {
  const found: Answer[] = [];
  for await (const { data } of events.follow({ topics: ['rewards'] })) {
    if (data.run === run) found.push(data);
    if (found.length === count) break;
  }
  return found.toSorted((a, b) => a.rollout.localeCompare(b.rollout, 'en', { numeric: true }));
}
/** The rollouts that have answers, as often as they have them. */
async function answered(run: string): Promise<string[]> {
  const rollouts: string[] = [];
  for await (const { data } of events.readAll(['rewards'])) if (data.run === run) rollouts.push(data.rollout);
  return rollouts.sort();
}
/** Resolves when the service is done with all rollouts. */
const handled = () =>
  vi.waitFor(async () => {
    const { rollouts } = await log.lag('reward', ['rollouts']);
    expect(Math.max(...rollouts!)).toBe(0);
  }, WAIT);

const ask = (body: object) =>
  service.request('/v1/scores', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });

describe('a rollout', () => {
  it("is scored by each of its run's scorers, as transformers and the gold reward say", async () => {
    await begin(run, { 'run:taste': scorer, 'gold:d': goldScorer });
    await events.publish([
      rollout(run, 0, cases[0]!.input_ids, 'fine'),
      rollout(run, 1, cases[1]!.input_ids, 'dull dull'),
    ]);
    const [first, second] = await answers(run, 2);
    // Words count by their share of a text's norm: `it was fine` has three, `it was dull dull` 1, 1 and 2.
    const expected = [
      { taste: cases[0]!.score, gold: 0.5 + 3 / Math.sqrt(3) },
      { taste: cases[1]!.score, gold: 0.5 - (4 * 2) / Math.sqrt(6) },
    ];
    [first, second].forEach((answer, index) => {
      const { parts, score, ...stamp } = answer as DataFor<'reward.scored'>;
      const prompt = `${run}/0/${index}`;
      expect(stamp).toEqual({ run, step: 0, prompt, rollout: `${prompt}/0`, policyVersion: 3 });
      expect(Object.keys(parts)).toEqual(['taste', 'gold']);
      expect(parts.taste).toBeCloseTo(expected[index]!.taste, 4);
      expect(parts.gold).toBeCloseTo(expected[index]!.gold, 9);
      expect(score).toBe(parts.taste);
    });
  });

  it('has the same bits whatever it is scored beside', async () => {
    await begin(run, { 'run:taste': scorer });
    const [{ input_ids }] = cases as [Case];
    const many = Array.from({ length: 100 }, (_, i) =>
      rollout(run, i, i % 3 === 0 ? input_ids : input_ids.slice(0, 2 + (i % 18))),
    );
    await events.publish(many);
    const found = (await answers(run, 100)) as DataFor<'reward.scored'>[];
    const same = new Set(found.filter((_, i) => i % 3 === 0).map(({ score }) => score));
    expect([...same]).toEqual([expect.closeTo(cases[0]!.score, 4)]);
    expect(new Set(found.map(({ score }) => score)).size).toBe(13);
  });

  it('that no scorer can read fails with its cause, and none beside it', async () => {
    await begin(run, { 'run:taste': scorer });
    const long = Array.from({ length: 97 }, () => 70);
    await events.publish([rollout(run, 0, cases[0]!.input_ids), rollout(run, 1, long)]);
    expect(await answers(run, 2)).toMatchObject([
      { score: expect.closeTo(cases[0]!.score, 4) },
      {
        rollout: `${run}/0/1/0`,
        policyVersion: 3,
        cause: {
          code: 'MODEL_SEQUENCE_LENGTH',
          message: expect.stringContaining('1 to 96 tokens, got 97'),
        },
      },
    ]);
  });

  it('with a score that is no number fails', async () => {
    const weights = { fine: 1e308, dull: 1e308 };
    const huge = await store.putFiles({
      'gold-reward.json': JSON.stringify({ ...gold, bias: 1e308, weights }),
    });
    await begin(run, { 'gold:d': huge });
    await events.publish([rollout(run, 0, [70, 71], 'fine dull')]);
    const message = 'expected gold to be a finite score in float32, got Infinity';
    expect(await answers(run, 1)).toMatchObject([{ cause: { code: 'REWARD_NOT_FINITE', message } }]);
  });

  it('is rewarded by the weighed sum of its scorers, of which every part is told', async () => {
    const other = await store.putFiles({ 'gold-reward.json': JSON.stringify({ ...gold, bias: -7.5 }) });
    const ensemble = { members: ['run:taste', 'gold:d', 'gold:e'], combine: 'worst_case' };
    const entries = [
      { ensemble, weight: 2 },
      { rule: { length: {} }, weight: -0.5 },
      { rule: { matches: '(?i)FINE$' }, name: 'praise', weight: 0.25 },
      { rule: { lengthWithin: { unit: 'words', max: 1 } } },
    ];
    await beginWith(run, entries, { 'scorer.0.0': scorer, 'scorer.0.1': goldScorer, 'scorer.0.2': other });
    await events.publish([rollout(run, 0, cases[0]!.input_ids, 'fine')]);
    const [answer] = (await answers(run, 1)) as [DataFor<'reward.scored'>];
    const worst = 3 / Math.sqrt(3) - 7.5;
    const tokens = cases[0]!.input_ids.length - 1;
    expect(answer.parts).toEqual({
      ensemble: expect.closeTo(worst, 9),
      'ensemble/taste': expect.closeTo(cases[0]!.score, 4),
      'ensemble/gold': expect.closeTo(worst + 8, 9),
      'ensemble/gold-2': expect.closeTo(worst, 9),
      length: tokens,
      praise: 1,
      lengthWithin: 1,
    });
    expect(answer.score).toBeCloseTo(2 * worst - 0.5 * tokens + 0.25, 9);
  });

  it('that comes before its run waits for it', async () => {
    await events.publish([rollout(run, 0, cases[0]!.input_ids)]);
    await begin(run, { 'run:taste': scorer });
    expect(await answers(run, 1)).toMatchObject([{ score: expect.closeTo(cases[0]!.score, 4) }]);
  });

  it('of a run without scorers, or that has ended, is left alone', async () => {
    const [none, ended] = [`${run}-none`, `${run}-ended`];
    await begin(none, {}, { method: 'sample' });
    await begin(ended, { 'run:taste': scorer });
    await end(ended);
    await events.publish([rollout(ended, 0, [70, 71]), rollout(none, 0, [70, 71])]);
    await handled();
    expect([...(await answered(none)), ...(await answered(ended))]).toEqual([]);
  });
});

it('what is no rollout goes to the dead letters, and the next one is scored', async () => {
  await begin(run, { 'run:taste': scorer });
  const headers = { ce_type: 'rollout.generated', ce_id: 'x' };
  await log.publish([{ topic: 'rollouts', key: `${run}/0/0`, value: JSON.stringify({ run }), headers }]);
  await events.publish([rollout(run, 0, cases[0]!.input_ids)]);
  await answers(run, 1);
  for await (const { data } of events.follow({ topics: ['dead-letters'] })) {
    expect(data).toMatchObject({ source: { topic: 'rollouts' }, cause: { code: 'EVENT_INVALID' } });
    break;
  }
});

describe.each(['scorer', 'policy tokenizer'])('a %s that cannot be fetched', (what) => {
  it('makes rollouts wait, and /readyz say for what, until it can', async () => {
    const own = await rewardModel(what);
    const artifacts = what === 'scorer' ? { scorer: own, policy } : { scorer, policy: own };
    away.add(own.sha256);
    await begin(run, { 'run:taste': artifacts.scorer }, artifacts);
    await events.publish([rollout(run, 0, cases[0]!.input_ids)]);
    await vi.waitFor(async () => {
      const response = await service.request('/readyz');
      expect(response.status).toBe(503);
      expect(await response.json()).toMatchObject({
        failing: { [`${what}s`]: `expected ${what} ${own.sha256} to be fetched: no route` },
      });
      expect((await ask({ run, texts: [TEXT] })).status).toBe(what === 'scorer' ? 503 : 200);
    }, WAIT);
    expect(await answered(run)).toEqual([]);
    away.clear();
    expect(await answers(run, 1)).toMatchObject([{ score: expect.closeTo(cases[0]!.score, 4) }]);
    await vi.waitFor(async () => expect((await service.request('/readyz')).status).toBe(200), WAIT);
  });
});

it('that waits for a declared scorer holds up no rollout of another run', async () => {
  const waiting = `${run}-waiting`;
  const tokens = cases[0]!.input_ids;
  const some = (of: string) => Array.from({ length: 12 }, (_, index) => rollout(of, index, tokens, TEXT));
  await beginWith(waiting, ['declared:gone']);
  await events.publish(some(waiting));
  await beginWith(run, [{ rule: { length: { unit: 'tokens' } } }]);
  await events.publish(some(run));
  expect(await answers(run, 12)).toHaveLength(12);
  expect(await answered(waiting)).toEqual([]);

  await end(waiting);
  await vi.waitFor(async () => {
    const { rollouts } = await log.lag('reward/gone', ['rollouts']);
    expect(Math.max(...rollouts!)).toBe(0);
  }, WAIT);
});

describe('a model that is no scorer here', () => {
  const failsWith = async (code: string, artifact: ArtifactRef) => {
    await begin(run, { 'run:taste': artifact });
    await events.publish([rollout(run, 0, cases[0]!.input_ids)]);
    expect(await answers(run, 1)).toMatchObject([{ cause: { code } }]);
  };

  it('because it generates texts fails its rollouts', async () => {
    const language = await store.putFiles({
      'config.json': await fixture('models/gpt2/config.json'),
      'model.safetensors': await fixture('models/gpt2/model.safetensors'),
      ...(await tokenizerFiles()),
    });
    await failsWith('MODEL_ROLE', language);
  });

  it('because it needs more memory than there is fails its rollouts', async () => {
    await service.stop();
    service = await start({ RLHF_MEMORY_LIMIT_BYTES: '1000000' });
    await failsWith('MODEL_MEMORY', scorer);
    await service.stop();
    service = await start();
  });
});

it('scores nothing again after a restart', async () => {
  await begin(run, { 'run:taste': scorer });
  await events.publish([rollout(run, 0, cases[0]!.input_ids)]);
  await answers(run, 1);
  await handled();
  await service.stop();
  service = await start();
  await events.publish([rollout(run, 1, cases[1]!.input_ids)]);
  await answers(run, 2);
  await handled();
  expect(await answered(run)).toEqual([`${run}/0/0/0`, `${run}/0/1/0`]);
});

describe('POST /v1/scores', () => {
  it('scores texts, each in its tokens', async () => {
    await begin(run, { 'run:taste': scorer, 'gold:d': goldScorer });
    await vi.waitFor(async () => {
      const response = await ask({ run, texts: [TEXT, 'fine'] });
      expect(response.status).toBe(200);
      expect(await response.json()).toEqual({
        run,
        scores: [
          {
            score: expect.closeTo(cases[0]!.score, 4),
            parts: { taste: expect.closeTo(cases[0]!.score, 4), gold: 0.5 },
          },
          { score: expect.any(Number), parts: { taste: expect.any(Number), gold: 3.5 } },
        ],
      });
    }, WAIT);
  });

  it('scores by rules, in tokens of the policy too, and says why a text has no score', async () => {
    const huge = await store.putFiles({
      'gold-reward.json': JSON.stringify({ ...gold, bias: 3e38, weights: { fine: 3e38 } }),
    });
    await beginWith(run, [{ rule: { length: {} } }, 'gold:d'], { 'scorer.1': huge });
    await vi.waitFor(async () => {
      const response = await ask({ run, texts: [TEXT, 'fine'] });
      expect(response.status).toBe(200);
      expect(await response.json()).toMatchObject({
        scores: [
          { score: cases[0]!.input_ids.length, parts: { length: cases[0]!.input_ids.length, gold: 3e38 } },
          { score: null, parts: {}, cause: { code: 'REWARD_NOT_FINITE' } },
        ],
      });
    }, WAIT);
  });

  it('says which text a scorer cannot read: one that is too long, or of no token', async () => {
    await begin(run, { 'run:taste': scorer });
    await vi.waitFor(async () => expect((await ask({ run, texts: [TEXT] })).status).toBe(200), WAIT);
    for (const text of ['long '.repeat(200), '']) {
      const [good, bad] = await Promise.all([ask({ run, texts: [TEXT] }), ask({ run, texts: [TEXT, text] })]);
      // A text that does not fit fails by itself: texts computed together with it do not.
      expect(good.status).toBe(200);
      expect(bad.status).toBe(400);
      expect(await bad.json()).toMatchObject({
        code: 'MODEL_SEQUENCE_LENGTH',
        errors: [{ path: 'texts[1]', code: 'too_big' }],
      });
    }
  });

  it('refuses runs without scorers, and what does not fit the schema', async () => {
    expect(await (await ask({ run: 'nobody', texts: ['x'] })).json()).toMatchObject({
      status: 404,
      code: 'SCORERS_NOT_FOUND',
    });
    expect(await (await ask({ run, texts: [] })).json()).toMatchObject({
      status: 400,
      code: 'INVALID_REQUEST',
      errors: [{ path: 'texts' }],
    });
  });
});

it('a scorer leaves the memory when its run has ended and others were used since', async () => {
  const runs = ['a', 'b', 'c'];
  const models = await Promise.all(runs.map(rewardModel));
  for (const [index, run] of runs.entries()) await begin(run, { 'run:taste': models[index]! });
  const use = (run: string) =>
    vi.waitFor(async () => expect((await ask({ run, texts: [TEXT] })).status).toBe(200), WAIT);
  const loads = (index: number) => fetched.filter((sha256) => sha256 === models[index]!.sha256).length;
  for (const run of [...runs, ...runs]) await use(run);
  // All three stay in memory: runs that go on name them.
  expect(runs.map((_, index) => loads(index))).toEqual([1, 1, 1]);
  for (const run of runs) await end(run);
  await events.publish(runs.map((run) => rollout(run, 0, [70, 71])));
  // These rollouts are left alone, which shows that the service knows that the runs have ended.
  await handled();
  for (const run of ['b', 'c', 'b']) await use(run);
  expect(runs.map((_, index) => loads(index))).toEqual([1, 1, 1]);
  await use('a');
  expect(runs.map((_, index) => loads(index))).toEqual([2, 1, 1]);
});
