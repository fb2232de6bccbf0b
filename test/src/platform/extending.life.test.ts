/** Runs that end early, go on after their end, and call a version their best. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { DataFor } from '@rlhf-streams/events';
import type { Run } from '@rlhf-streams/gateway';
import { type RunConfigInput, replayConfig } from '@rlhf-streams/runs';
import type { ProblemDetails } from '@rlhf-streams/service';
import { extendRun, followRun, type Platform, requestRun, startPlatform } from 'rlhf-streams';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { outcomeOf } from './outcome.js';
import { oneThread, tinyModel, tinyPpo, tinySft, writeReviews } from './tiny-runs.js';

let folder: string;
let data: string;
let platform: Platform;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'platform-'));
  data = await writeReviews(folder);
  platform = await startPlatform({
    directory: join(folder, 'log'),
    logLevel: 'silent',
    environment: oneThread,
  });
});
afterAll(async () => {
  await platform.close();
  await rm(folder, { recursive: true });
});

const complete = async (config: RunConfigInput) => {
  await requestRun(platform, config);
  return followRun(platform, config.run, {});
};
const extend = async (run: string, steps: number) => {
  const view = await extendRun(platform, run, { steps });
  return { view, completed: await followRun(platform, run, {}) };
};
const shown = async (run: string) => (await (await platform.request(`/v1/runs/${run}`)).json()) as Run;
const stepsOf = async (run: string): Promise<DataFor<'step.completed'>[]> =>
  (await outcomeOf(platform)).steps.filter((step) => step.run === run);
const weightsOf = async (run: string) => (await outcomeOf(platform)).weights[run];
const refusal = (run: string, steps: number) => extendRun(platform, run, { steps }).catch((error) => error);

const constant = { learningRate: 2e-3, schedule: 'constant' } as const;

describe('a completed run that is extended', () => {
  it('ends as a run that had so many steps from the start', async () => {
    await complete({ ...tinySft(data), run: 'at-once', steps: 5, optimizer: constant });
    await complete({ ...tinySft(data), run: 'longer', steps: 3, optimizer: constant });
    const { view, completed } = await extend('longer', 5);
    expect(view).toMatchObject({ status: 'running', steps: { done: 3, total: 5 } });
    expect(completed).toMatchObject({ steps: 5, policyVersion: 5 });
    expect((await stepsOf('longer')).map(({ step }) => step)).toEqual([0, 1, 2, 3, 4]);
    expect(await weightsOf('longer')).toBe(await weightsOf('at-once'));
    expect(await shown('longer')).toMatchObject({
      status: 'completed',
      steps: { done: 5, total: 5 },
      extents: [
        { from: 0, steps: 3 },
        { from: 3, steps: 5 },
      ],
    });
    // Asked for again it is there already.
    expect(await extendRun(platform, 'longer', { steps: 5 })).toMatchObject({ status: 'completed' });
  });

  it('is replayed with the learning rates that it had', async () => {
    const config = { ...tinySft(data), run: 'decaying', steps: 3 };
    await complete(config);
    await extend('decaying', 5);
    await complete(replayConfig((await shown('decaying')).config!, 'again'));
    const metrics = async (run: string) => (await stepsOf(run)).map(({ metrics }) => metrics);
    expect(await metrics('again')).toEqual(await metrics('decaying'));
    expect(await weightsOf('again')).toBe(await weightsOf('decaying'));
    expect(await refusal('again', 9)).toMatchObject({ code: 'RUN_NOT_EXTENDABLE' });
  });

  it('samples again, and what it measures on held-out prompts is of the version that a step starts from', async () => {
    const evaluated = { evaluateEvery: 2, maxTestItems: 3 };
    await complete({ ...tinyPpo(data), ...evaluated, steps: 2 });
    await extend('ppo', 4);
    const steps = await stepsOf('ppo');
    expect(steps.map(({ metrics }) => metrics['eval/rollout/length'] !== undefined)).toEqual([
      false,
      true,
      false,
      true,
    ]);
    const versions = new Set<string>();
    for await (const { type, data } of platform.events.readAll(['rollouts']))
      if (type === 'rollout.generated' && data.run === 'ppo' && Number(data.rollout.split('/')[2]) >= 8)
        versions.add(`step ${data.step}, version ${data.policyVersion}`);
    expect([...versions].sort()).toEqual(['step 1, version 1', 'step 3, version 3']);
  });

  it.each([
    ['fewer steps than it has done', 2, /more than the 4 steps/],
    ['as many', 3, /more than the 4 steps/],
  ])('is refused for %s', async (_, steps, said) => {
    expect(await refusal('ppo', steps)).toMatchObject({
      code: 'RUN_NOT_EXTENDABLE',
      message: expect.stringMatching(said),
    });
  });
});

it.each([
  [{ steps: '8' }, 400, /steps: expected a number, got '8'/],
  [{ steps: 0 }, 400, /steps: expected at least 1, got 0/],
  [{}, 400, /expected steps or epochs, got neither/],
  [{ steps: 8, epochs: 2 }, 400, /expected steps or epochs, got both/],
  [{ epochs: 1e300 }, 400, /epochs: expected at most 1000000, got 1e\+300/],
  [{ epochs: 1e6 }, 409, /at most 1000000 steps, got/],
])('an extension by %j is refused', async (body, status, said) => {
  const response = await platform.request('/v1/runs/ppo/extend', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  expect(response.status).toBe(status);
  const { detail, errors = [] } = (await response.json()) as ProblemDetails;
  expect([detail, ...errors.map(({ path, message }) => `${path}: ${message}`)].join('\n')).toMatch(said);
});

describe('a run with stopWhen', () => {
  it('ends with the step that says so, published, and again after each extension', async () => {
    const stopWhen = { metric: 'loss', below: 1e9 };
    const completed = await complete({ ...tinySft(data), run: 'early', stopWhen });
    expect(completed).toMatchObject({
      steps: 1,
      policyVersion: 1,
      reason: expect.stringMatching(/^stopWhen: loss was/),
    });
    expect((await shown('early')).policy).toMatchObject({ version: 1 });
    expect((await extend('early', 6)).completed).toMatchObject({ steps: 2, policyVersion: 2 });
    expect((await stepsOf('early')).map(({ step, published }) => [step, published !== undefined])).toEqual([
      [0, true],
      [1, true],
    ]);
  });

  it.each([
    [
      { metric: 'los', below: 1 },
      /stopWhen.metric: expected a metric of method sft, got los: did you mean loss/,
    ],
    [{ metric: 'timing_s/update', above: 1 }, /comes out the same/],
    [{ metric: 'eval/loss', above: 1 }, /expected items to be held out/],
    [{ metric: 'loss' }, /expected below or above, got neither/],
  ])('%j is refused', async (stopWhen, said) => {
    await expect(complete({ ...tinySft(data), run: 'never', stopWhen })).rejects.toThrow(said);
  });
});

describe('a run with keepBest', () => {
  it('gives others its best version, which need not be the newest', async () => {
    await complete({
      ...tinySft(data),
      run: 'best',
      steps: 4,
      checkpointEvery: 4,
      testFraction: 0.2,
      evaluateEvery: 1,
      // So large a rate takes every step away from where the first one came.
      optimizer: { learningRate: 1, schedule: 'constant' },
      keepBest: { metric: 'eval/loss', goal: 'min' },
    });
    const losses = (await stepsOf('best')).map(({ metrics }) => metrics['eval/loss']!);
    const version = losses.indexOf(Math.min(...losses)) + 1;
    expect(version).toBeLessThan(4);
    const view = await shown('best');
    expect(view).toMatchObject({ policyVersion: 4, best: { version, value: losses[version - 1] } });
    await complete({ ...tinySft(data), run: 'built', model: 'run:best', steps: 1 });
    const { models } = await shown('built');
    expect(models!.policy).toMatchObject({
      source: 'run:best',
      version,
      artifact: view.best!.artifact,
    });
  });
});

it('epochs are counted when the data are', async () => {
  // A tenth of 200 reviews is held out.
  const config = { ...tinySft(data), run: 'epochs', model: tinyModel, testFraction: 0.1, batchSize: 64 };
  const { steps: _, ...uncounted } = config;
  expect(await complete({ ...uncounted, epochs: 1 })).toMatchObject({ steps: 3 });
  expect((await stepsOf('epochs')).map(({ metrics }) => metrics['eval/loss'] !== undefined)).toEqual([
    false,
    false,
    true,
  ]);
});
