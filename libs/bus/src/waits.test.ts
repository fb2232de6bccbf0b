import { type EventLog, LogError, memoryLog } from '@rlhf-streams/log';
import { FOREVER_MS } from '@rlhf-streams/waiting';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { createEvents, type Events } from './events.js';
import { silentLogger } from './logger.js';
import { topicSpecs } from './topics.js';
import { createWaits, type Waits } from './waits.js';

const DEADLINE = { timeout: 20_000, interval: 5 };

let log: EventLog;
let events: Events;
let stop: AbortController;
/** What the log says when it is asked to take an event. */
let refusal: LogError | undefined;
let waits: Waits;
beforeEach(async () => {
  log = memoryLog();
  await log.ensureTopics(topicSpecs);
  events = createEvents({ log, source: 'test' });
  stop = new AbortController();
  refusal = undefined;
  waits = waitsOf('optimizer');
});
afterEach(async () => {
  stop.abort();
  await events.close();
  await log.close();
});

const waitsOf = (service: string, lastingMs = 1) =>
  createWaits({
    service,
    publish: (news) => (refusal ? Promise.reject(refusal) : events.publish(news)),
    logger: silentLogger,
    signal: stop.signal,
    lastingMs,
  });

const full = Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' });
const cause = { code: 'ENOSPC', message: full.message };

async function said(): Promise<[string, unknown][]> {
  const all: [string, unknown][] = [];
  for await (const { type, data } of events.readAll(['runs'])) all.push([type, data]);
  return all;
}
const paused = ['run.paused', { run: 'r', by: 'optimizer', cause }];
const resumed = ['run.resumed', { run: 'r', by: 'optimizer' }];
const sayThese = (...expected: unknown[]) =>
  vi.waitFor(async () => expect(await said()).toEqual(expected), DEADLINE);

it('a wait that lasts pauses the run, and the run is resumed when the work goes on', async () => {
  waits.begin('r', 'step', full);
  expect(waits.list()).toEqual([`run r waits: ${full.message}`]);
  await sayThese(paused);
  waits.goesOn('r', 'step');
  expect(waits.list()).toEqual([]);
  await sayThese(paused, resumed);
});

it('a wait that is over soon is no event', async () => {
  const patient = waitsOf('reward', FOREVER_MS);
  patient.begin('r', 'a', full);
  patient.goesOn('r', 'a');
  waits.begin('r', 'b', full);
  await sayThese(paused);
});

it('a run is resumed when none of its work waits any more', async () => {
  waits.begin('r', 'a', full);
  waits.begin('r', 'b', new LogError('LOG_UNAVAILABLE', 'no broker answers'));
  expect(waits.list()).toEqual([`run r waits: ${full.message}; no broker answers`]);
  await sayThese(paused);
  waits.goesOn('r', 'a');
  expect(waits.list()).toEqual(['run r waits: no broker answers']);
  waits.goesOn('r', 'b');
  await sayThese(paused, resumed);
});

it('tells when the log takes it again, and nothing of a wait that is over by then', async () => {
  refusal = new LogError('LOG_WRITE_FAILED', 'The log could not write to disk');
  const refused = vi.fn();
  const full2 = createWaits({
    service: 'optimizer',
    publish: (news) => {
      refused();
      return refusal ? Promise.reject(refusal) : events.publish(news);
    },
    logger: silentLogger,
    signal: stop.signal,
    lastingMs: 1,
  });
  full2.begin('short', 'step', refusal);
  full2.begin('r', 'step', full);
  await vi.waitFor(() => expect(refused.mock.calls.length).toBeGreaterThan(5), DEADLINE);
  full2.goesOn('short', 'step');
  expect(full2.list()).toEqual([`run r waits: ${full.message}`]);
  refusal = undefined;
  await sayThese(paused);
});

it('what another member may do by now is left to it to tell', async () => {
  waits.begin('r', 'step', full);
  await sayThese(paused);
  waits.forget('r', 'step');
  waits.begin('r', 'step', full);
  await sayThese(paused, paused);
  waits.goesOn('r', 'step');
  await sayThese(paused, paused, resumed);
});
