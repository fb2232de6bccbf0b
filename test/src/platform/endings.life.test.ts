import { copyFile, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { DataFor } from '@rlhf-streams/events';
import type { RunConfigInput } from '@rlhf-streams/runs';
import { followRun, type Platform, requestExperiment, requestRun, startPlatform } from 'rlhf-streams';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { oneThread, tinyPpo, tinySft, writeReviews } from './tiny-runs.js';

let folder: string;
let data: string;
let platform: Platform;
/** The reward service is left out. */
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'platform-'));
  data = await writeReviews(folder);
  platform = await startPlatform({
    directory: join(folder, 'log'),
    logLevel: 'silent',
    environment: oneThread,
    replicas: { reward: 0 },
  });
});
afterAll(async () => {
  await platform.close();
  await rm(folder, { recursive: true });
});

/** The cause a run fails with. */
async function causeOf(config: RunConfigInput): Promise<DataFor<'run.failed'>['cause']> {
  await requestRun(platform, config);
  return failureOf(config.run);
}

async function failureOf(run: string): Promise<DataFor<'run.failed'>['cause']> {
  for await (const { type, data } of platform.events.follow({ topics: ['runs'] })) {
    if (data.run !== run) continue;
    if (type === 'run.failed') return data.cause;
    if (type === 'run.completed') break;
  }
  throw new Error(`expected run ${run} to fail`);
}

const complete = async (config: RunConfigInput) => {
  await requestRun(platform, config);
  return followRun(platform, config.run, {});
};

const stepsOf = async (run: string) => {
  const steps: number[] = [];
  for await (const { data } of platform.events.readAll(['training-metrics'])) {
    if (data.run === run) steps.push(data.step);
  }
  return steps;
};

const urlOf = (service: string) => platform.services.find(({ name }) => name === service)!.url;

describe('a run that cannot start', () => {
  it('may be asked for again once what it was refused for is mended, or otherwise', async () => {
    const later = join(folder, 'later.jsonl');
    const config = { ...tinySft(later), run: 'again' };
    expect((await causeOf(config)).message).toContain(later);
    await copyFile(data, later);
    await expect(complete(config)).resolves.toMatchObject({ steps: config.steps });
    await expect(requestRun(platform, { ...config, steps: 99 })).rejects.toMatchObject({
      code: 'CLI_RUN_EXISTS',
      message: expect.stringContaining('which differs in steps: '),
    });

    const wrong = { ...tinySft(join(folder, 'never.jsonl')), run: 'otherwise' };
    await causeOf(wrong);
    await expect(complete({ ...wrong, data })).resolves.toMatchObject({ run: 'otherwise' });
  });

  it('names the run that does not exist', async () => {
    expect(await causeOf({ ...tinyPpo(data, 'run:nowhere'), run: 'orphan' })).toEqual({
      code: 'RUN_SOURCE_UNKNOWN',
      message: expect.stringContaining('nowhere'),
    });
  });

  it('names the run that failed before it', async () => {
    expect(await causeOf({ ...tinyPpo(data, 'run:orphan'), run: 'orphan-of-orphan' })).toEqual({
      code: 'RUN_SOURCE_FAILED',
      message: expect.stringMatching(/orphan.* failed: .*nowhere/),
    });
  });

  it('names the file that does not exist', async () => {
    const missing = join(folder, 'missing.jsonl');
    expect(await causeOf({ ...tinyPpo(missing), run: 'no-data' })).toEqual({
      code: 'DATA_NOT_FOUND',
      message: expect.stringContaining(missing),
    });
  });

  it('names every mistake of its configuration, whether it is asked for or found on the log', async () => {
    const config = { ...tinyPpo(data), run: 'mistaken', steps: 0, sampling: { topP: 2 } };
    const mistakes = {
      code: 'TRAINING_CONFIG_INVALID',
      message: expect.stringMatching(/steps.*sampling\.topP/s),
    };
    await expect(requestRun(platform, config)).rejects.toMatchObject(mistakes);
    await platform.events.publish([
      { type: 'run.requested', id: 'mistaken/requested', data: { run: config.run, config } },
    ]);
    expect(await failureOf(config.run)).toMatchObject(mistakes);
  });
});

describe('runs that are requested together', () => {
  const sft = (run: string, change: object = {}) => ({ ...tinySft(data), run, steps: 2, ...change });

  it('fail with the one that they build on, by its cause, and are done when all are asked for again', async () => {
    const later = join(folder, 'set.jsonl');
    const runs = [sft('last', { model: 'run:middle' }), sft('middle', { model: 'run:first' }), sft('beside')];
    const set = { experiment: 'set', runs: [...runs, sft('first', { data: later })] };
    await requestExperiment(platform, set);
    const first = `run first, which this one builds on, failed: ${(await failureOf('first')).message}`;
    expect(await failureOf('middle')).toEqual({ code: 'RUN_SOURCE_FAILED', message: first });
    const middle = `run middle, which this one builds on, failed: ${first}`;
    expect(await failureOf('last')).toEqual({ code: 'RUN_SOURCE_FAILED', message: middle });
    await followRun(platform, 'beside', {});

    await copyFile(data, later);
    await requestExperiment(platform, set);
    for (const { run } of set.runs)
      await expect(followRun(platform, run, {})).resolves.toMatchObject({ run });
  });

  it('fail with one that is cancelled', async () => {
    const endless = { ...sft('endless'), steps: 1_000_000 };
    await requestExperiment(platform, {
      experiment: 'cancelled',
      runs: [endless, sft('waiting', { model: 'run:endless' })],
    });
    const begun = new AbortController();
    const following = followRun(platform, 'endless', { step: () => begun.abort() }, begun.signal);
    await expect(following).rejects.toThrow();
    await platform.request('/v1/runs/endless/cancel', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ reason: 'enough' }),
    });
    expect(await failureOf('waiting')).toEqual({
      code: 'RUN_SOURCE_FAILED',
      message: 'run endless, which this one builds on, was cancelled: enough',
    });
  });
});

describe('a run that waits for a service that is down', () => {
  it('says what it waits for, and at its deadline fails with the reason', async () => {
    const waits: DataFor<'run.waiting'>[] = [];
    const config = { ...tinyPpo(data), run: 'stalled', stallTimeoutMs: 2000 };
    await requestRun(platform, config);
    await expect(
      followRun(platform, config.run, { waiting: (wait) => void waits.push(wait) }),
    ).rejects.toThrow(/run stalled failed: expected the items of step 0 within 2000 ms, .*8 from rewards/);
    expect(waits[0]).toMatchObject({ step: 0, waitingFor: { rewards: 8 }, deadlineMs: 2000 });
  });

  it('completes when the service comes before the deadline', async () => {
    const config = { ...tinyPpo(data), run: 'patient', steps: 2, stallTimeoutMs: 50_000 };
    await requestRun(platform, config);
    const waiting = new Set<string>();
    for await (const { type, data } of platform.events.follow({ topics: ['reference-logprobs'] })) {
      if (type === 'reference.scored' && data.run === config.run) waiting.add(data.subject);
      if (waiting.size === config.batchSize) break;
    }
    expect(await stepsOf(config.run)).toEqual([]);
    await platform.start('reward');
    await expect(followRun(platform, config.run, {})).resolves.toMatchObject({ policyVersion: 2 });
  });
});

describe('a run that goes on', () => {
  it('leaves every service answering, and ends when it is cancelled', async () => {
    const config = { ...tinyPpo(data), run: 'long', steps: 1_000_000 };
    await requestRun(platform, config);
    const cancelled = followRun(platform, config.run, {
      step: ({ step }) => {
        if (step === 1) answered = Promise.all(operations.map(async (url) => (await fetch(url)).status));
      },
    });
    const operations = platform.services.flatMap(({ url }) =>
      ['/healthz', '/readyz', '/metrics'].map((path) => `${url}${path}`),
    );
    let answered: Promise<number[]> | undefined;
    const isOver = expect(cancelled).rejects.toThrow('run long was cancelled: enough');
    for await (const { data } of platform.events.follow({ topics: ['training-metrics'] })) {
      if (data.run === config.run && data.step === 2) break;
    }
    expect(await answered).toEqual(operations.map(() => 200));

    const runUrl = `${urlOf('gateway')}/v1/runs/${config.run}`;
    expect(await (await fetch(runUrl)).json()).toMatchObject({ status: 'running' });
    const cancellation = await fetch(`${runUrl}/cancel`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: '{"reason": "enough"}',
    });
    expect(cancellation.status).toBe(202);
    await isOver;

    // Another run is trained meanwhile: nothing more comes of the one that has ended.
    await complete({ ...tinyPpo(data), run: 'next', steps: 1 });
    const steps = await stepsOf(config.run);
    await complete({ ...tinyPpo(data), run: 'after', steps: 2 });
    expect(await stepsOf(config.run)).toEqual(steps);
    expect(steps.length).toBeLessThan(config.steps);
  });
});
