/** What earlier versions left on the disk is read, replayed and gone on with by this one. */
import { createHash } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ArtifactRef, type DataFor, type TopicName, topics } from '@rlhf-streams/events';
import { readCheckpoint } from '@rlhf-streams/model';
import { replayConfig } from '@rlhf-streams/runs';
import { thisBuild } from '@rlhf-streams/service/build';
import { onnxPool } from '@rlhf-streams/tensor';
import { onnxRuntimeVersion } from '@rlhf-streams/tensor/version';
import { openSession } from '@rlhf-streams/training';
import { followRun, openClient, type Platform, requestRun, startPlatform } from 'rlhf-streams';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { outcomeOf, untimed } from '../platform/outcome.js';
import { oneThread } from '../platform/tiny-runs.js';
import { type Expected, expectedOf, gateway, layOut, topicsFile, type View } from './fixture.js';

/** How far weights may be from the recorded ones: this build, and other machines, round otherwise. */
const CLOSE = 1e-4;
const optimizerBuild = thisBuild(onnxRuntimeVersion);
const every = Object.keys(topics) as TopicName[];

let folder: string;
let expected: Expected;
let platform: Platform;

async function layOutHere(fixture: string, life: 'finished' | 'stopped'): Promise<void> {
  folder = await mkdtemp(join(tmpdir(), 'compatibility-'));
  expected = await expectedOf(fixture);
  await layOut(fixture, life, folder);
}
const options = () => ({
  directory: folder,
  logLevel: 'silent' as const,
  environment: { ...oneThread, RLHF_TOPICS_FILE: topicsFile, RLHF_OPTIMIZER_WORKERS: '2' },
});
const start = async () => {
  platform = await startPlatform(options());
};
const close = async () => {
  await platform.close();
  await rm(folder, { recursive: true });
};

const viewOf = (run: string): View => expected.runs.find((view) => view.run === run)!;
const shown = async (run: string) => (await gateway(platform, `/v1/runs/${run}`)) as View;
const tensorsOf = async (artifact: ArtifactRef) =>
  (await readCheckpoint(await platform.artifacts.fetch(artifact))).tensors;

/** Expects that a run ended in the recorded weights, but for rounding. */
async function expectWeights(run: string, as: string): Promise<void> {
  const now = await tensorsOf((await shown(run)).policy!.artifact);
  for (const [name, { data }] of await tensorsOf(viewOf(as).policy!.artifact)) {
    const furthest = data.reduce((most, x, i) => Math.max(most, Math.abs(x - now.get(name)!.data[i]!)), 0);
    expect(furthest, name).toBeLessThan(CLOSE);
  }
}

/** Expects the recorded metrics, but for rounding; a later build may report more. */
function expectMetrics(
  metrics: Readonly<Record<string, number>>,
  recorded: Readonly<Record<string, number>>,
): void {
  expect(Object.keys(metrics)).toEqual(expect.arrayContaining(Object.keys(recorded)));
  for (const [name, value] of Object.entries(recorded)) {
    // At the first step policy and reference are equal: rounding alone, of this build and of that, prefers a side.
    if (name === 'rewards/accuracies') continue;
    const scale = Math.max(1, Math.abs(value));
    expect(Math.abs(metrics[name]! - value) / scale, name).toBeLessThan(10 * CLOSE);
  }
}

/** The checkpoint that each run would go on from. */
async function checkpoints(): Promise<Map<string, NonNullable<DataFor<'policy.published'>['checkpoint']>>> {
  const newest = new Map();
  for await (const { data } of platform.events.readAll(['policy-versions']))
    if (data.checkpoint) newest.set(data.run, data.checkpoint);
  return newest;
}

describe.each(['runs-of-0.1.0'])('%s, finished', (fixture) => {
  beforeAll(async () => {
    await layOutHere(fixture, 'finished');
    await start();
  });
  afterAll(close);

  it('are shown as they were', async () => {
    expect(expected.runs.map(({ run }) => run).sort()).toEqual([
      'comparisons',
      'dpo',
      'orphan',
      'ppo',
      'reward',
      'sft',
    ]);
    for (const view of expected.runs) expect(await shown(view.run)).toMatchObject(view);
  });

  it('have all their events; one record is none, as it was', async () => {
    const events: Record<string, number> = {};
    for await (const { type } of platform.events.readAll(every)) events[type] = (events[type] ?? 0) + 1;
    // Readers of this process, too, say what they sample from, and which records they could not read.
    const { 'replica.applied': _, 'record.rejected': __, ...recorded } = expected.events;
    expect(events).toMatchObject(recorded);
    const { deadLetters } = await outcomeOf(platform);
    const letters = deadLetters.map(({ source, key, cause }) => `${source.topic} ${key} ${cause.code}`);
    expect([...new Set(letters)]).toEqual(['prompts poison EVENT_UNKNOWN_TYPE']);
  });

  it('have every artifact that they name, and models of the recorded bits', async () => {
    for (const { run, policy, artifacts = {} } of expected.runs) {
      for (const [role, ref] of Object.entries(artifacts))
        expect((await readdir(await platform.artifacts.fetch(ref))).length, `${run} ${role}`).toBeGreaterThan(
          0,
        );
      if (policy) expect((await tensorsOf(policy.artifact)).size, run).toBeGreaterThan(10);
    }
    expect((await outcomeOf(platform)).weights).toEqual(expected.weights);
  });

  it('have checkpoints to go on from, which hold what was published last', async () => {
    const engine = onnxPool({ workers: 1 });
    const all = await checkpoints();
    expect([...all.keys()].sort()).toEqual(['dpo', 'ppo', 'reward', 'sft']);
    for (const [run, { step, artifact }] of all) {
      const { config, artifacts } = viewOf(run);
      const fetched = async (role: string) =>
        artifacts?.[role] && { base: await platform.artifacts.fetch(artifacts[role]) };
      const value = await fetched('value');
      const models = { policy: (await fetched('policy'))!, ...(value && { value }) };
      const checkpoint = await platform.artifacts.fetch(artifact);
      const options = { config, models, checkpoint, engine, build: optimizerBuild };
      const { session, positions, build } = await openSession(options);
      expect(build).toEqual(expected.build);
      expect(session.step).toBe(step);
      expect(Object.keys(positions).length, run).toBeGreaterThan(0);
      const published = join(folder, `published-${run}`);
      await session.savePublished(published);
      await session.close();
      const bytes = await readFile(join(published, 'model.safetensors'));
      expect(createHash('sha256').update(bytes).digest('hex'), run).toBe(expected.weights[run]);
    }
    await engine.close();
  });

  it.each(['ppo', 'dpo'])('are replayed: %s comes out as it was, step by step', async (run) => {
    const again = `${run}-again`;
    await requestRun(platform, replayConfig(viewOf(run).config, again));
    await followRun(platform, again, {});
    await expectWeights(again, run);
    const view = (await shown(again)) as View & { buildChanges?: unknown };
    expect([view.build, view.buildChanges]).toEqual([thisBuild(), undefined]);
    const { steps } = await outcomeOf(platform);
    const measured = (name: string) =>
      steps.filter((step) => step.run === name).map(({ step, split, metrics }) => ({ step, split, metrics }));
    expect(measured(again)).toHaveLength(measured(run).length);
    measured(again).forEach(({ metrics, ...step }, i) => {
      const { metrics: recorded, ...as } = measured(run)[i]!;
      expect(step).toEqual(as);
      expectMetrics(metrics, recorded);
    });
  });
});

describe.each(['runs-of-0.1.0'])('%s, of which one was killed', (fixture) => {
  beforeAll(async () => {
    await layOutHere(fixture, 'stopped');
    const { events, close } = await openClient(options());
    const steps: number[] = [];
    for await (const { data } of events.readAll(['training-metrics']))
      if (data.run === 'ppo') steps.push(data.step);
    await close();
    expect(steps).toEqual([0, 1, 2]);
    await start();
  });
  afterAll(close);

  it('go on from its checkpoint, and end as the run that nobody killed', async () => {
    await followRun(platform, 'ppo', {});
    await expectWeights('ppo', 'ppo');
    const { steps } = await outcomeOf(platform);
    expect(steps.filter(({ run }) => run === 'ppo').map(({ step }) => step)).toEqual([0, 1, 2, 3]);
    // The checkpoint is older than the stamp of builds.
    const change = { step: 2, ...(expected.build && { from: expected.build }), to: optimizerBuild };
    expect(await shown('ppo')).toMatchObject({ status: 'completed', buildChanges: [change] });
    expectMetrics(
      untimed(steps.findLast(({ run }) => run === 'ppo')!.metrics),
      untimed(viewOf('ppo').metrics!.metrics),
    );
  });
});
