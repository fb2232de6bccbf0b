import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ArtifactStore, filesystemArtifacts } from '@rlhf-streams/artifacts';
import { createEvents, type Events, type NewEvent, type Received, topicSpecs } from '@rlhf-streams/bus';
import { type ArchivedTopic, archivedTopics, encodeEvent } from '@rlhf-streams/events';
import { type EventLog, memoryLog } from '@rlhf-streams/log';
import { isArchived, type RunView, readRuns } from '@rlhf-streams/runs';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { CONTENTS_FILE } from './format.js';
import { runEvents } from './read.js';
import { writeArchive } from './write.js';

let folder: string;
let log: EventLog;
let events: Events;
let artifacts: ArtifactStore;
let written = 0;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'archive-'));
  // Every publication has a time of its own.
  let time = Date.now();
  log = memoryLog({ now: () => time++ });
  await log.ensureTopics(topicSpecs);
  events = createEvents({ log, source: 'test' });
  artifacts = filesystemArtifacts({ directory: join(folder, 'artifacts') });
});
afterEach(async () => {
  await events.close();
  await log.close();
  await rm(folder, { recursive: true });
});

const { signal } = new AbortController();
const stamp = (run: string, step: number, index: number) => ({
  run,
  step,
  prompt: `${run}/${step}/${index}`,
});

const request = (run: string): NewEvent => ({
  type: 'run.requested',
  id: `${run}/requested`,
  data: { run, config: { run, method: 'sft', steps: 3, model: 'm', data: 'd' } },
});
async function begin(run: string): Promise<void> {
  const { latest } = await log.positions(archivedTopics);
  const from = Object.fromEntries(Object.entries(latest).map(([topic, offsets]) => [topic, [...offsets]]));
  await events.publish([
    request(run),
    {
      type: 'run.started',
      id: `${run}/started`,
      data: { run, config: {}, steps: 3, testItems: 0, models: {}, artifacts: {}, from },
    },
  ]);
}
const step = (run: string, step: number): NewEvent[] => [
  ...[0, 1, 2, 3].flatMap((index): NewEvent[] => {
    const at = { ...stamp(run, step, index), rollout: `${run}/${step}/${index}/0`, policyVersion: step };
    return [
      {
        type: 'rollout.generated',
        id: at.rollout,
        data: {
          ...at,
          promptText: 'Ein "Zitat",\nzwei Zeilen ✓',
          promptTokens: [1, 2],
          text: `${index}`,
          tokens: [3],
          logprobs: [-0.1234567],
          finishReason: 'stop',
          temperature: 1,
        },
      },
      {
        type: 'reward.scored',
        id: at.rollout,
        data: { ...at, score: index / 3, parts: { gold: index / 3 } },
      },
    ];
  }),
  {
    type: 'step.completed',
    id: `${run}/${step}`,
    data: { run, step, policyVersion: step + 1, split: 'train', metrics: { loss: 1 / (step + 1) } },
  },
];
const end = (run: string): NewEvent => ({
  type: 'run.completed',
  id: `${run}/completed`,
  data: { run, steps: 3, policyVersion: 3 },
});

const viewOf = async (run: string): Promise<RunView> =>
  (await readRuns(events.readAll(['runs']), run)).get(run)!;
async function archive(run: string): Promise<RunView> {
  const data = await writeArchive(
    { log, artifacts },
    await viewOf(run),
    join(folder, `${written++}`),
    signal,
  );
  await events.publish([{ type: 'run.archived', id: `${run}/archived`, data }]);
  return viewOf(run);
}
/** Deletes all that a log may lose. */
async function emptyTopics(): Promise<void> {
  const { latest } = await log.positions(archivedTopics.filter((topic) => topic !== 'policy-versions'));
  await log.trim(latest);
}
async function read(view: RunView, topics: readonly ArchivedTopic[] = archivedTopics, from = {}) {
  const read: Received<ArchivedTopic>[] = [];
  for await (const event of runEvents({ events, artifacts }, view, topics, { from, signal }))
    read.push(event);
  return read;
}
/** Events in the order of their places, in which those of a partition must have come. */
function placed(read: readonly Received[]) {
  const last = new Map<string, number>();
  for (const { topic, partition, offset } of read) {
    const at = `${topic}/${partition}`;
    expect(offset).toBeGreaterThan(last.get(at) ?? -1);
    last.set(at, offset);
  }
  return read.toSorted(
    (a, b) => a.topic.localeCompare(b.topic) || a.partition - b.partition || a.offset - b.offset,
  );
}
async function publishTwoRuns(): Promise<void> {
  await begin('a');
  await events.publish(step('a', 0));
  await begin('b');
  for (const at of [1, 2]) await events.publish([...step('b', at), ...step('a', at)]);
  await events.publish([end('a')]);
}

it('of a run that has ended holds all its events, which read the same once the topics are empty', async () => {
  await publishTwoRuns();
  const before = placed(await read(await viewOf('a')));
  const view = await archive('a');
  expect(isArchived(view)).toBe(true);
  expect(view.archive!.counts).toMatchObject({
    runs: 3,
    rollouts: 12,
    rewards: 12,
    'training-metrics': 3,
    prompts: 0,
  });
  await emptyTopics();
  expect(placed(await read(view))).toEqual(before);
  expect(before).toHaveLength(30);
});

it('is read from any place on, and topics side by side', async () => {
  await publishTwoRuns();
  const view = await archive('a');
  await emptyTopics();
  const all = await read(view, ['rollouts', 'rewards']);
  for (const { topic, partition, offset } of all) {
    const from = { [topic]: Array.from({ length: 6 }, (_, at) => (at === partition ? offset + 1 : 0)) };
    const left = all.filter(
      (event) => event.topic !== topic || event.partition !== partition || event.offset > offset,
    );
    expect(placed(await read(view, ['rollouts', 'rewards'], from))).toEqual(placed(left));
  }
  // Rewards come near their rollouts, and not after all of them.
  const firstReward = all.findIndex(({ topic }) => topic === 'rewards');
  expect(firstReward).toBeLessThan(12);
});

it('is the same artifact when it is made again', async () => {
  await publishTwoRuns();
  const view = await viewOf('a');
  const made = async () => writeArchive({ log, artifacts }, view, join(folder, `${written++}`), signal);
  expect(await made()).toEqual(await made());
});

it('keeps records that this build cannot read, for one that can, and leaves them out', async () => {
  await begin('a');
  const newer = encodeEvent(
    'run.waiting',
    { run: 'a', step: 0, waitingFor: {}, sinceMs: 1, deadlineMs: 2 },
    { id: 'w', source: 's' },
  );
  await log.publish([{ ...newer, headers: { ...newer.headers, ce_schemaversion: '99' } }]);
  await log.publish([{ topic: 'rollouts', key: 'a/0/0', value: 'no JSON' }]);
  await events.publish([end('a')]);
  const view = await archive('a');
  expect(view.archive!.counts).toMatchObject({ runs: 4, rollouts: 0 });
  expect((await read(view)).map(({ type }) => type)).toEqual([
    'run.requested',
    'run.started',
    'run.completed',
  ]);
});

it('of a run that went on after its first end holds what the first archive held', async () => {
  await begin('a');
  await events.publish([...step('a', 0), end('a')]);
  const first = await archive('a');
  await emptyTopics();
  // As if the run went on: what came later is not in its archive.
  await events.publish(step('a', 1));
  const goesOn: RunView = { ...first, status: 'running' };
  const all = placed(await read(goesOn, ['rollouts', 'training-metrics']));
  expect(all.map(({ topic, data }) => `${topic} ${(data as { step: number }).step}`).toSorted()).toEqual(
    [0, 1]
      .flatMap((at) => Array(4).fill(`rollouts ${at}`))
      .concat(['training-metrics 0', 'training-metrics 1']),
  );

  const again = await writeArchive({ log, artifacts }, first, join(folder, 'again'), signal);
  await emptyTopics();
  const { archive: artifact, until, counts } = again;
  const second: RunView = { ...first, archive: { artifact, until, counts, time: 0 } };
  expect(placed(await read(second, ['rollouts', 'training-metrics']))).toEqual(all);
  expect(counts).toMatchObject({ rollouts: 8, 'training-metrics': 2 });
});

it('stores nothing when it is given up', async () => {
  await publishTwoRuns();
  const put: unknown[] = [];
  const store: ArtifactStore = {
    ...artifacts,
    putDirectory: async (...args) => {
      put.push(args);
      return artifacts.putDirectory(...args);
    },
  };
  const view = await viewOf('a');
  const stopped = AbortSignal.abort(new Error('enough'));
  await expect(writeArchive({ log, artifacts: store }, view, join(folder, 'x'), stopped)).rejects.toThrow();
  expect(put).toEqual([]);
});

it('of a later format is not misread', async () => {
  await publishTwoRuns();
  const view = await archive('a');
  const copy = join(folder, 'copy');
  await artifacts.materialise(view.archive!.artifact, copy);
  const contents = JSON.parse(await readFile(join(copy, CONTENTS_FILE), 'utf8'));
  await writeFile(join(copy, CONTENTS_FILE), JSON.stringify({ ...contents, format: 2 }));
  const artifact = await artifacts.putDirectory(copy);
  const later: RunView = { ...view, archive: { ...view.archive!, artifact } };
  await expect(read(later)).rejects.toMatchObject({ code: 'RUN_ARCHIVE_TOO_NEW', unavailable: true });
});
