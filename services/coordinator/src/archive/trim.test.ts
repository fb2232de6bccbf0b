import { topicSpecs } from '@rlhf-streams/bus';
import { type ArchivedTopic, archivedTopics } from '@rlhf-streams/events';
import { type EventLog, memoryLog } from '@rlhf-streams/log';
import type { RunArchive, RunView } from '@rlhf-streams/runs';
import { beforeEach, expect, it } from 'vitest';
import { trimTopics } from './trim.js';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;

let log: EventLog;
let now: number;
beforeEach(async () => {
  now = 100 * DAY;
  log = memoryLog({ now: () => now });
  await log.ensureTopics(topicSpecs);
});

/** Twenty records on each of two topics, and the positions after them. */
async function publish(): Promise<Record<string, number[]>> {
  const topics = ['rollouts', 'comparisons'] as const;
  await log.publish(
    topics.flatMap((topic) =>
      Array.from({ length: 20 }, (_, i) => ({ topic, key: `key ${i}`, value: '{}' })),
    ),
  );
  const { latest } = await log.positions(archivedTopics);
  return Object.fromEntries(Object.entries(latest).map(([topic, offsets]) => [topic, [...offsets]]));
}
const retention = new Map<ArchivedTopic, number>([['rollouts', 7 * DAY]]);
const trim = (...runs: RunView[]) =>
  trimTopics({ log, runs, retention, now, signal: new AbortController().signal });
const earliest = async () => (await log.positions(['rollouts'])).earliest.rollouts;

const started: RunView = {
  run: 'r',
  partition: 0,
  requestOffset: 0,
  status: 'running',
  artifacts: {},
  testItems: 0,
  from: {},
  requestedAt: 0,
};
const archivedAt = (time: number, until: RunArchive['until'] = {}): RunView => ({
  ...started,
  status: 'completed',
  end: { partition: 0, offset: 2 },
  archive: {
    artifact: { uri: 'a', sha256: '1'.repeat(64) },
    until: { runs: [3], ...until },
    counts: {},
    time,
  },
});

it('deletes what is older than the topic keeps it, and nothing of topics that keep theirs', async () => {
  const old = await publish();
  now += 6 * DAY;
  await publish();
  expect(await trim()).toBe(0);
  now += 2 * DAY;
  expect(await trim()).toBe(20);
  expect(await earliest()).toEqual(old.rollouts);
  expect((await log.positions(['comparisons'])).earliest.comparisons).toEqual([0, 0, 0, 0, 0, 0]);
  expect(await trim()).toBe(0);
});

it('never deletes what a run may need that is not archived, however old', async () => {
  await publish();
  const from = await publish();
  await publish();
  now += 365 * DAY;
  const goesOn = { ...started, from };
  const ended: RunView = { ...goesOn, status: 'failed', end: { partition: 0, offset: 2 } };
  expect(await trim({ ...started, run: 'of unknown start' }, ended)).toBe(0);
  await trim(ended, archivedAt(0));
  expect(await earliest()).toEqual(from.rollouts);
  expect(await trim(goesOn)).toBe(0);
  expect(await earliest()).toEqual(from.rollouts);
  // One that has not started reads nothing that is there now.
  const { artifacts: _, ...requested } = started;
  await trim(archivedAt(0), { ...requested, status: 'requested' });
  expect(await earliest()).toEqual((await log.positions(['rollouts'])).latest.rollouts);
});

it('lets those end that read the log when a run was archived', async () => {
  const from = await publish();
  now += 365 * DAY;
  const run = { ...archivedAt(now - HOUR / 2), from: { rollouts: [0, 0, 0, 0, 0, 0] } };
  expect(await trim(run)).toBe(0);
  now += HOUR;
  expect(await trim(run)).toBe(20);
  expect(await earliest()).toEqual(from.rollouts);
});

it('keeps of a run that went on after its end what its archive lacks', async () => {
  const until = await publish();
  await publish();
  now += 365 * DAY;
  await trim({ ...archivedAt(0, until), status: 'running' });
  expect(await earliest()).toEqual(until.rollouts);
});

it('does not reach beyond the end of a topic that is all old', async () => {
  const end = await publish();
  now += 365 * DAY;
  await trim();
  expect(await earliest()).toEqual(end.rollouts);
});
