import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runEvents } from '@rlhf-streams/archive';
import { type ArtifactStore, filesystemArtifacts } from '@rlhf-streams/artifacts';
import { createEvents, createProjection, type Events, type NewEvent, topicSpecs } from '@rlhf-streams/bus';
import type { DataFor } from '@rlhf-streams/events';
import { type EventLog, memoryLog } from '@rlhf-streams/log';
import { applyRunEvent, type RunView, readRuns } from '@rlhf-streams/runs';
import { createLogger, topicSettings } from '@rlhf-streams/service';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { archiveRuns } from './archive-runs.js';

const WAIT = { timeout: 20_000, interval: 5 };

let folder: string;
let log: EventLog;
let events: Events;
let artifacts: ArtifactStore;
const replicas: { stop(): Promise<void> }[] = [];
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'archive-runs-'));
  log = memoryLog();
  await log.ensureTopics(topicSpecs);
  events = createEvents({ log, source: 'test' });
  artifacts = filesystemArtifacts({ directory: join(folder, 'artifacts') });
});
afterEach(async () => {
  for (const replica of replicas.splice(0)) await replica.stop();
  await events.close();
  await log.close();
  await rm(folder, { recursive: true });
});

/** A replica of the coordinator, as far as it archives. */
async function replica(store: ArtifactStore = artifacts) {
  const own = createEvents({ log, source: 'coordinator' });
  const stopping = new AbortController();
  const stops: (() => void | Promise<void>)[] = [];
  const runs = createProjection<'runs', RunView>({
    events: own,
    topics: ['runs'],
    apply: applyRunEvent,
    signal: stopping.signal,
  });
  await runs.caughtUp;
  const context = {
    settings: topicSettings.parse({}),
    log,
    events: own,
    artifacts: store,
    temporary: {
      use: async <T>(work: (folder: string) => Promise<T>) => work(await mkdtemp(join(folder, 'tmp-'))),
      sweep: async () => {},
    },
    logger: createLogger({ level: 'silent' }),
    onStop: (stop: () => void | Promise<void>) => void stops.push(stop),
  };
  await archiveRuns(context, runs);
  const replica = {
    stop: async () => {
      for (const stop of stops.splice(0)) await stop();
      stopping.abort();
      await own.close();
    },
  };
  replicas.push(replica);
  return replica;
}

const begin = (run: string): NewEvent[] => [
  {
    type: 'run.requested',
    id: `${run}/requested`,
    data: { run, config: { run, method: 'sft', steps: 1, model: 'm', data: 'd' } },
  },
  {
    type: 'run.started',
    id: `${run}/started`,
    data: { run, config: {}, steps: 1, testItems: 0, models: {}, artifacts: {}, from: {} },
  },
  {
    type: 'demonstration.recorded',
    id: `${run}/0/0`,
    data: { run, step: 0, demonstration: `${run}/0/0`, split: 'train', promptTokens: [], tokens: [1] },
  },
];
const end = (run: string): NewEvent => ({
  type: 'run.failed',
  id: `${run}/failed`,
  data: { run, cause: { code: 'NO', message: 'no' } },
});

async function archives(): Promise<DataFor<'run.archived'>[]> {
  const found: DataFor<'run.archived'>[] = [];
  for await (const { type, data } of events.readAll(['runs'])) if (type === 'run.archived') found.push(data);
  return found;
}
const untilArchived = (count: number) =>
  vi.waitFor(async () => expect(await archives()).toHaveLength(count), WAIT);
const archivedRuns = async () => (await archives()).map(({ run }) => run).toSorted();

it('archives each run that has ended, those of before among them, and no other', async () => {
  const { 0: request } = begin('refused');
  await events.publish([...begin('old'), end('old'), request!, end('refused'), ...begin('running')]);
  await replica();
  await untilArchived(1);
  await events.publish([...begin('new'), end('new')]);
  await untilArchived(2);
  expect(await archivedRuns()).toEqual(['new', 'old']);
  const view = (await readRuns(events.readAll(['runs']))).get('new')!;
  const types: string[] = [];
  for await (const { type } of runEvents({ events, artifacts }, view, ['runs', 'demonstrations']))
    types.push(type);
  expect(types.toSorted()).toEqual(['demonstration.recorded', 'run.failed', 'run.requested', 'run.started']);
});

it('is done by one replica, once, and by another when that stops in the middle', async () => {
  let reached = () => {};
  const putting = new Promise<void>((resolve) => {
    reached = resolve;
  });
  /** Never ends a put by itself. */
  const stuck: ArtifactStore = {
    ...artifacts,
    putDirectory: (_, { signal } = {}) => {
      reached();
      return new Promise((_, reject) => signal!.addEventListener('abort', () => reject(signal!.reason)));
    },
  };
  await events.publish([...begin('a'), end('a')]);
  const first = await replica(stuck);
  await putting;
  await replica();
  expect(await archives()).toEqual([]);
  await first.stop();
  await untilArchived(1);
  await replica();
  await events.publish([...begin('b'), end('b')]);
  await untilArchived(2);
  expect(await archivedRuns()).toEqual(['a', 'b']);
});

it('goes on to others when a run cannot be archived', async () => {
  await events.publish([...begin('a'), end('a')]);
  let puts = 0;
  const failing: ArtifactStore = {
    ...artifacts,
    putDirectory: (...put) =>
      puts++ === 0 ? Promise.reject(new Error('the disk is full')) : artifacts.putDirectory(...put),
  };
  await replica(failing);
  await vi.waitFor(() => expect(puts).toBe(1), WAIT);
  await events.publish([...begin('b'), end('b')]);
  await untilArchived(1);
  expect(await archivedRuns()).toEqual(['b']);
});
