import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { DataFor } from '@rlhf-streams/events';
import type { RunConfigInput } from '@rlhf-streams/runs';
import { followRun, type Platform, requestRun, startPlatform } from 'rlhf-streams';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { reproducible } from './outcome.js';
import { oneThread, tinyComparisons, tinyDpo, tinyPpo, tinySft, writeReviews } from './tiny-runs.js';

let folder: string;
let platform: Platform;
let ppo: ReturnType<typeof tinyPpo>;
const dpo = tinyDpo();
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'replay-'));
  const data = await writeReviews(folder);
  const ofPpo = { importanceSampling: {} };
  ppo = { ...tinyPpo(data, 'run:sft'), maxStaleness: 1, samplesPerPrompt: 2, ppo: ofPpo };
  platform = await startPlatform({
    directory: join(folder, 'log'),
    logLevel: 'silent',
    environment: { ...oneThread, RLHF_OPTIMIZER_WORKERS: '2' },
  });
  for (const config of [tinySft(data), ppo, tinyComparisons(data), dpo]) await complete(config);
}, 120_000);
afterAll(async () => {
  await platform.close();
  await rm(folder, { recursive: true });
});

async function complete(config: RunConfigInput): Promise<DataFor<'run.completed'>> {
  await requestRun(platform, config);
  return followRun(platform, config.run, {});
}

/** SHA-256 of each version that a run published. */
async function versionsOf(run: string): Promise<Record<number, string>> {
  const versions: Record<number, string> = {};
  for await (const { data } of platform.events.readAll(['policy-versions'])) {
    if (data.run === run) versions[data.version] = data.model.base.sha256;
  }
  return versions;
}

/** What the steps of a run measured, and the versions they published; without what depends on time. */
async function stepsOf(run: string) {
  const steps: DataFor<'step.completed'>[] = [];
  for await (const { data } of platform.events.readAll(['training-metrics'])) {
    if (data.run === run) steps.push({ ...reproducible(data), run: '' });
  }
  return steps;
}

const gateway = () => platform.services.find(({ name }) => name === 'gateway')!.url;
const cancel = (run: string) => fetch(`${gateway()}/v1/runs/${run}/cancel`, { method: 'POST' });

/** Events of any topic that came while `work` went on, by type and run. */
async function eventsDuring(work: () => Promise<unknown>): Promise<string[]> {
  const topics = ['prompts', 'rollouts', 'rewards', 'reference-logprobs', 'comparisons'] as const;
  const { latest } = await platform.log.positions(topics);
  await work();
  const types: string[] = [];
  for await (const { type, data } of platform.events.readAll(topics, { from: latest }))
    types.push(`${data.run} ${type}`);
  return types;
}

describe('a replay', () => {
  it.each(['ppo', 'dpo'] as const)(
    'of a %s run reproduces every version and every metric',
    async (source) => {
      const config = { ...{ ppo, dpo }[source], run: `${source}-again`, replay: source };
      expect(await eventsDuring(() => complete(config))).toEqual([]);
      const versions = await versionsOf(source);
      expect(Object.keys(versions)).toHaveLength({ ppo: 7, dpo: 3 }[source]);
      expect(await versionsOf(config.run)).toEqual(versions);
      expect(await stepsOf(config.run)).toEqual(await stepsOf(source));
    },
  );

  it('with other hyperparameters learns other weights from the same rollouts', async () => {
    const config = { ...ppo, run: 'ppo-stricter', replay: 'ppo', ppo: { ...ppo.ppo, klCoef: 0.1 } };
    await complete(config);
    const { 0: initial, ...before } = await versionsOf('ppo');
    const { 0: same, ...after } = await versionsOf(config.run);
    expect(same).toBe(initial);
    expect(Object.keys(after)).toEqual(Object.keys(before));
    expect(Object.values(after).filter((sha256) => Object.values(before).includes(sha256))).toEqual([]);

    const measured = async (run: string, name: string) =>
      (await stepsOf(run)).map(({ metrics }) => metrics[name]);
    for (const name of ['objective/scores', 'objective/kl', 'rollout/length', 'rollout/staleness'])
      expect(await measured(config.run, name)).toEqual(await measured('ppo', name));
    expect(new Set(await measured(config.run, 'objective/kl_coef'))).toEqual(new Set([0.1]));
    // The policies that sampled the rollouts are not those that are trained.
    const ratios = await measured(config.run, 'sampling/importance_sampling_ratio/max');
    expect(ratios.slice(1).every((ratio) => ratio! > 1)).toBe(true);
  });

  it('of a run that was cancelled reproduces the steps it completed', async () => {
    const config = { ...ppo, run: 'cancelled', steps: 1_000_000 };
    await requestRun(platform, config);
    let requested: Promise<Response> | undefined;
    const over = followRun(platform, config.run, {
      step: ({ step }) => {
        if (step === 2) requested = cancel(config.run);
      },
    });
    await expect(over).rejects.toThrow('cancelled');
    expect((await requested)?.status).toBe(202);

    const again = { ...config, run: 'cancelled-again', replay: config.run };
    const { steps } = await complete(again);
    expect(steps).toBeGreaterThan(2);
    const [before, after] = [await versionsOf(config.run), await versionsOf(again.run)];
    expect(Object.keys(after)).toHaveLength(steps + 1);
    expect(before).toMatchObject(after);
  });

  it('is shown, followed and cancelled as any other run', async () => {
    const slow = { ...ppo, run: 'ppo-slow', replay: 'ppo', ppo: { numPpoEpochs: 500 } };
    await requestRun(platform, slow);
    let requested: Promise<Response> | undefined;
    const over = followRun(platform, slow.run, {
      started: () => {
        requested = cancel(slow.run);
      },
    });
    await expect(over).rejects.toThrow('cancelled');
    expect((await requested)?.status).toBe(202);
    const view = await (await fetch(`${gateway()}/v1/runs/${slow.run}`)).json();
    expect(view).toMatchObject({ status: 'cancelled', config: { replay: 'ppo' }, steps: { total: 6 } });
  });
});

describe('a replay that cannot be', () => {
  it.each<[string, () => RunConfigInput, string, RegExp]>([
    ['of no run', () => ({ ...ppo, replay: 'nowhere' }), 'RUN_SOURCE_UNKNOWN', /nowhere/],
    ['of itself', () => ({ ...ppo, replay: 'refused-of-itself' }), 'RUN_SOURCE_UNFIT', /not itself/],
    ['of a replay', () => ({ ...ppo, replay: 'ppo-again' }), 'RUN_SOURCE_UNFIT', /name ppo instead/],
    ['of a run of another method', () => ({ ...ppo, replay: 'dpo' }), 'TRAINING_REPLAY_UNFIT', /method/],
    ['of a run that sampled', () => ({ ...ppo, replay: 'comparisons' }), 'TRAINING_REPLAY_UNFIT', /method/],
    ['of a run that never started', () => ({ ...dpo, replay: 'orphan' }), 'RUN_SOURCE_UNFIT', /nowhere/],
    [
      'with other samples',
      () => ({ ...ppo, replay: 'ppo', sampling: { ...ppo.sampling, temperature: 0.5 } }),
      'TRAINING_REPLAY_UNFIT',
      /sampling\.temperature/,
    ],
    ['with more steps', () => ({ ...ppo, replay: 'ppo', steps: 7 }), 'TRAINING_REPLAY_UNFIT', /at most 6/],
  ])('%s fails and says why', async (what, configOf, code, said) => {
    await requestRun(platform, { ...dpo, run: 'orphan', model: 'run:nowhere' });
    const config = { ...configOf(), run: `refused-${what.replaceAll(' ', '-')}` };
    await requestRun(platform, config);
    for await (const { type, data } of platform.events.follow({ topics: ['runs'] })) {
      if (data.run !== config.run || type !== 'run.failed') continue;
      expect(data.cause).toMatchObject({ code, message: expect.stringMatching(said) });
      return;
    }
  });
});
