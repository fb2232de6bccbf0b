import { type EventLog, memoryLog } from '@rlhf-streams/log';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { createEvents, type Events } from './events.js';
import { createProjection, type Projection } from './projection.js';
import type { NewEvent } from './publish.js';
import { topicSpecs } from './topics.js';

let log: EventLog;
let events: Events;
let stop: AbortController;
beforeEach(async () => {
  log = memoryLog();
  await log.ensureTopics(topicSpecs);
  events = createEvents({ log, source: 'policy' });
  stop = new AbortController();
});
afterEach(async () => {
  stop.abort();
  await events.close();
  await log.close();
});

const version = (run: string, number: number): NewEvent => ({
  type: 'policy.published',
  data: {
    run,
    version: number,
    step: number,
    model: { base: { uri: 'artifact:x', sha256: '0'.repeat(64) } },
  },
  id: `${run}/${number}`,
});

const newestVersions = (): Projection<number> =>
  createProjection<'policy-versions', number>({
    events,
    topics: ['policy-versions'],
    apply: (state, { data }) => {
      if (data.version === 666) throw new Error('cannot apply');
      state.set(data.run, data.version);
    },
    signal: stop.signal,
  });

const soon = { timeoutMs: 10_000, what: 'a version' };

it('holds what was there when it is caught up, and then what comes', async () => {
  await events.publish([version('a', 0), version('b', 0), version('a', 1)]);
  const newest = newestVersions();
  await newest.caughtUp;
  expect(Object.fromEntries(newest.state)).toEqual({ a: 1, b: 0 });

  const found = newest.waitFor((state) => state.get('b') === 1 && state, soon);
  await events.publish([version('b', 1)]);
  expect(Object.fromEntries(await found)).toEqual({ a: 1, b: 1 });
});

it('tells what the log has that it has not heard of yet, and is not changed by that', async () => {
  await events.publish([version('a', 0), version('b', 0)]);
  /** Hears of nothing by itself once it is caught up. */
  const deaf = createProjection<'policy-versions', number>({
    events: { readAll: events.readAll, follow: async function* () {} },
    topics: ['policy-versions'],
    apply: (state, { data }) => state.set(data.run, data.version),
    signal: stop.signal,
  });
  await deaf.caughtUp;
  await events.publish([version('a', 1), version('c', 0)]);
  expect(Object.fromEntries(await deaf.newest(stop.signal))).toEqual({ a: 1, b: 0, c: 0 });
  expect(Object.fromEntries(deaf.state)).toEqual({ a: 0, b: 0 });
});

it('does not show the past to those who wait', async () => {
  await events.publish([version('a', 0), version('a', 1), version('a', 2)]);
  expect(await newestVersions().waitFor((state) => state.get('a'), soon)).toBe(2);
});

it('gives up waiting, naming what for', async () => {
  const waiting = newestVersions().waitFor((state) => state.get('a'), {
    timeoutMs: 5,
    what: 'a version of run a',
  });
  await expect(waiting).rejects.toMatchObject({
    code: 'RUNTIME_DEADLINE',
    message: expect.stringContaining('a version of run a'),
  });
});

it('ends quietly when stopped, and tells those who wait', async () => {
  const newest = newestVersions();
  const waiting = newest.waitFor((state) => state.get('a'), soon);
  await newest.caughtUp;
  stop.abort();
  await expect(waiting).rejects.toMatchObject({ code: 'RUNTIME_STOPPED' });
  await newest.ended;
  await expect(newest.waitFor((state) => state.get('a'), soon)).rejects.toMatchObject({
    code: 'RUNTIME_STOPPED',
  });
});

it('fails when an event cannot be applied', async () => {
  const newest = newestVersions();
  const waiting = newest.waitFor((state) => state.get('a'), soon);
  await newest.caughtUp;
  await events.publish([version('a', 666)]);
  const failure = { code: 'RUNTIME_PROJECTION', message: expect.stringContaining('cannot apply') };
  await Promise.all([
    expect(newest.ended).rejects.toMatchObject(failure),
    expect(waiting).rejects.toMatchObject(failure),
  ]);
});
