import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ArtifactStore, filesystemArtifacts } from '@rlhf-streams/artifacts';
import {
  createEvents,
  createProjection,
  type Events,
  type NewEvent,
  type Projection,
  topicSpecs,
} from '@rlhf-streams/bus';
import { type EventLog, memoryLog } from '@rlhf-streams/log';
import { applyRunEvent, artifactRoles, ITEMS_FILE, type RunView } from '@rlhf-streams/runs';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type ConductDependencies, conduct, type RunProgress } from './conduct.js';

const STEPS = 3;
const BATCH = 2;
const config = {
  run: 'r',
  method: 'sft',
  steps: STEPS,
  batchSize: BATCH,
  prefetchSteps: 1,
  model: 'm',
  data: 'd',
};
const WAIT = { timeout: 20_000, interval: 5 };

let folder: string;
let log: EventLog;
let events: Events;
let artifacts: ArtifactStore;
let stop: AbortController;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'conduct-'));
  log = memoryLog();
  await log.ensureTopics(topicSpecs);
  events = createEvents({ log, source: 'coordinator' });
  artifacts = filesystemArtifacts({ directory: folder });
  stop = new AbortController();
});
afterEach(async () => {
  stop.abort();
  await events.close();
  await log.close();
  await rm(folder, { recursive: true });
});

const requested: NewEvent = { type: 'run.requested', id: 'r/requested', data: { run: 'r', config } };

/** The `run.started` that an earlier owner published when it had prepared the run. */
async function started(): Promise<NewEvent> {
  const items = Array.from({ length: 4 }, (_, n) => ({ split: 'train', promptTokens: [n], tokens: [7] }));
  const lines = items.map((item) => JSON.stringify(item)).join('\n');
  const policy = await artifacts.putFiles({ 'config.json': '{"eos_token_id": 0}' });
  const used = {
    models: { [artifactRoles.policy]: { base: policy } },
    artifacts: { [artifactRoles.items]: await artifacts.putFiles({ [ITEMS_FILE]: `${lines}\n` }) },
  };
  const data = { run: 'r', config, steps: STEPS, testItems: 0, ...used, from: {} };
  return { type: 'run.started', id: 'r/started', data };
}

const stepDone = (step: number): NewEvent => ({
  type: 'step.completed',
  id: `r/${step}`,
  data: { run: 'r', step, policyVersion: step + 1, split: 'train', metrics: {} },
});

/** A projection that has read no further than the request. */
function lagging(): Projection<RunView> {
  const state = new Map<string, RunView>();
  applyRunEvent(state, { ...requested, partition: 0, offset: 0, time: 0 } as Parameters<
    typeof applyRunEvent
  >[1]);
  const never = () => Promise.reject(new Error('expected the log to be asked, not the projection'));
  return { state, caughtUp: Promise.resolve(), ended: new Promise(() => {}), newest: never, waitFor: never };
}

const dependencies = (): ConductDependencies => ({
  context: {
    events,
    artifacts,
    log,
    temporary: {
      use: () => Promise.reject(new Error('expected nothing to be prepared')),
      sweep: async () => {},
    },
  },
  runs: lagging(),
  progress: createProjection<'training-metrics', RunProgress>({
    events,
    topics: ['training-metrics'],
    apply: (state, { data }) =>
      void state.set(data.run, { completed: data.step + 1, policyVersion: data.policyVersion, last: data }),
    signal: stop.signal,
  }),
  threads: {} as ConductDependencies['threads'],
  machine: () => Promise.reject(new Error('expected nothing to be admitted')) as never,
  declarations: new Map(),
});

async function issued(): Promise<number[]> {
  const steps: number[] = [];
  for await (const { data } of events.readAll(['demonstrations'])) steps.push(data.step);
  return steps.sort();
}

async function said(): Promise<{ type: string; data: object }[]> {
  const everything: { type: string; data: object }[] = [];
  for await (const { type, data } of events.readAll(['runs'])) everything.push({ type, data });
  return everything;
}

const eachTwice = (steps: readonly number[]) => steps.flatMap((step) => Array(BATCH).fill(step));

describe('a run that another owner conducted before', () => {
  it('is not started again, though this owner has not seen yet that it was', async () => {
    await events.publish([requested, await started()]);
    const conducting = conduct(dependencies(), 'r', stop.signal);
    await vi.waitFor(async () => expect(await issued()).toEqual(eachTwice([0, 1])), WAIT);
    for (let step = 0; step < STEPS; step++) await events.publish([stepDone(step)]);
    await conducting;
    expect((await said()).map(({ type }) => type)).toEqual(['run.requested', 'run.started', 'run.completed']);
    expect((await said()).at(-1)).toMatchObject({ data: { steps: STEPS, policyVersion: STEPS } });
  });

  it('goes on with the steps that the log does not say are done', async () => {
    await events.publish([requested, await started(), stepDone(0)]);
    const conducting = conduct(dependencies(), 'r', stop.signal);
    await vi.waitFor(async () => expect(await issued()).toEqual(eachTwice([1, 2])), WAIT);
    await events.publish([stepDone(1), stepDone(2)]);
    await conducting;
    expect(await issued()).toEqual(eachTwice([1, 2]));
  });

  it('is left alone when it has ended', async () => {
    const cancelled: NewEvent = { type: 'run.cancelled', id: 'r/end', data: { run: 'r', reason: 'enough' } };
    await events.publish([requested, await started(), cancelled]);
    await conduct(dependencies(), 'r', stop.signal);
    expect(await issued()).toEqual([]);
    expect((await said()).map(({ type }) => type)).toEqual(['run.requested', 'run.started', 'run.cancelled']);
  });
});

it('a run whose request held no configuration cannot be conducted', async () => {
  await events.publish([
    { ...requested, data: { run: 'r', config: { run: 'r', method: 'sft', steps: 0 } } } as NewEvent,
  ]);
  await expect(conduct(dependencies(), 'r', stop.signal)).rejects.toMatchObject({
    code: 'TRAINING_CONFIG_INVALID',
    message: expect.stringMatching(/steps/),
  });
});
