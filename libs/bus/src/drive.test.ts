import type { DataFor } from '@rlhf-streams/events';
import { type EventLog, LogError, memoryLog } from '@rlhf-streams/log';
import { FOREVER_MS } from '@rlhf-streams/waiting';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type DriveOptions, driveOwned } from './drive.js';
import { createEvents, type Events } from './events.js';
import { silentLogger } from './logger.js';
import { createProjection } from './projection.js';
import type { NewEvent } from './publish.js';
import { topicSpecs } from './topics.js';
import { createWaits } from './waits.js';

interface Run {
  readonly partition: number;
  readonly over: boolean;
}
type Drive = DriveOptions<Run>['drive'];
type Cause = DataFor<'run.failed'>['cause'];

const DEADLINE = { timeout: 20_000, interval: 5 };

let log: EventLog;
let events: Events;
const stops: (() => Promise<void>)[] = [];
beforeEach(async () => {
  log = memoryLog();
  await log.ensureTopics(topicSpecs);
  events = createEvents({ log, source: 'test' });
});
afterEach(async () => {
  for (const stop of stops.splice(0)) await stop();
  await events.close();
  await log.close();
});

const requested: NewEvent = { type: 'run.requested', id: 'r', data: { run: 'r', config: {} } };
const cancelled: NewEvent = { type: 'run.cancelled', id: 'r/end', data: { run: 'r', reason: 'enough' } };

/** A member of the group that drives every run not cancelled; stopped as a service is. */
async function member(
  drive: Drive,
  options: Partial<Pick<DriveOptions<Run>, 'fail' | 'fencedPauseMs'>> = {},
): Promise<{ stop(): Promise<void> }> {
  const stopping = new AbortController();
  const hooks: (() => void | Promise<void>)[] = [];
  const projection = createProjection<'runs', Run>({
    events,
    topics: ['runs'],
    apply: (state, { data, partition, type }) =>
      void state.set(data.run, { partition, over: type === 'run.cancelled' }),
    signal: stopping.signal,
  });
  await driveOwned(
    {
      log,
      logger: silentLogger,
      signal: stopping.signal,
      onStop: (run) => void hooks.push(run),
      waits: createWaits({
        service: 'drivers',
        publish: events.publish,
        logger: silentLogger,
        signal: stopping.signal,
        lastingMs: 1,
      }),
    },
    {
      group: 'drivers',
      topic: 'runs',
      projection,
      wanted: ({ over }) => !over,
      drive,
      fail: () => Promise.reject(new Error('expected no failure')),
      unavailablePauseMs: 1,
      ...options,
    },
  );
  const stop = async () => {
    stopping.abort();
    for (const hook of hooks.splice(0)) await hook();
  };
  stops.push(stop);
  return { stop };
}

const untilAborted = (signal: AbortSignal) =>
  new Promise<void>((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener('abort', () => resolve(), { once: true });
  });

describe('a driver that was fenced', () => {
  /** Publishes a version under the one writer of the run. */
  const publish = async (run: string) => {
    const writer = await events.transactional(run);
    return async () => {
      try {
        await writer.publish([cancelled]);
      } finally {
        await writer.close();
      }
    };
  };

  it('drives again while the partition is its own, until its work is done', async () => {
    const attempts: string[] = [];
    const done = vi.fn();
    await member(
      async (run) => {
        attempts.push(run);
        const finish = await publish(run);
        // Another writer fences this one, as a broker does to a transaction that takes too long.
        if (attempts.length <= 2) await (await events.transactional(run)).close();
        await finish();
        done();
      },
      { fencedPauseMs: 1 },
    );
    await events.publish([requested]);
    await vi.waitFor(() => expect(done).toHaveBeenCalled(), DEADLINE);
    expect(attempts).toEqual(['r', 'r', 'r']);
  });

  it('leaves the work to the member that has the partition by now', async () => {
    const attempts: string[] = [];
    const fenced = vi.fn();
    const zombie = await member(
      async (run) => {
        attempts.push('zombie');
        const finish = await publish(run);
        await (await events.transactional(run)).close();
        fenced();
        await finish();
      },
      { fencedPauseMs: FOREVER_MS },
    );
    await events.publish([requested]);
    await vi.waitFor(() => expect(fenced).toHaveBeenCalled(), DEADLINE);
    await member(async (run) => {
      attempts.push('owner');
      await (await publish(run))();
    });
    await zombie.stop();
    await vi.waitFor(() => expect(attempts).toContain('owner'), DEADLINE);
    expect(attempts).toEqual(['zombie', 'owner']);
  });
});

describe('a driver', () => {
  it('drives again when something was out of reach', async () => {
    const attempts: number[] = [];
    const done = vi.fn();
    await member(async () => {
      attempts.push(attempts.length);
      if (attempts.length === 1) throw new LogError('LOG_UNAVAILABLE', 'no broker answers');
      if (attempts.length === 2) throw Object.assign(new Error('no store'), { unavailable: true });
      done();
    });
    await events.publish([requested]);
    await vi.waitFor(() => expect(done).toHaveBeenCalled(), DEADLINE);
    expect(attempts).toEqual([0, 1, 2]);
  });

  it.each([
    ['the disk is full', Object.assign(new Error('no space left on device'), { code: 'ENOSPC' })],
    ['it may not write', Object.assign(new Error('permission denied'), { code: 'EACCES' })],
    ['the device fails', Object.assign(new Error('i/o error'), { code: 'EIO' })],
    ['the log cannot write', new LogError('LOG_WRITE_FAILED', 'the log could not write to disk')],
    ['the log forbids it', new LogError('LOG_DENIED', 'not allowed to write')],
    [
      'the store says no',
      Object.assign(new Error('access denied'), { code: 'ARTIFACT_STORE_REFUSED', unavailable: true }),
    ],
  ])('pauses its run while %s, and resumes it when it goes on', async (_, error) => {
    let away: Error | undefined = error;
    const done = vi.fn();
    await member(async (_run, signal, goesOn) => {
      if (away) throw away;
      goesOn();
      done();
      await untilAborted(signal);
    });
    const said = async () => {
      const all: object[] = [];
      for await (const { type, data } of events.readAll(['runs'])) all.push({ type, data });
      return all;
    };
    const paused = {
      type: 'run.paused',
      data: {
        run: 'r',
        by: 'drivers',
        cause: { code: (error as { code?: string }).code, message: error.message },
      },
    };
    await events.publish([requested]);
    await vi.waitFor(async () => expect(await said()).toContainEqual(paused), DEADLINE);
    away = undefined;
    const resumed = { type: 'run.resumed', data: { run: 'r', by: 'drivers' } };
    await vi.waitFor(async () => expect(await said()).toContainEqual(resumed), DEADLINE);
    expect(done).toHaveBeenCalledTimes(1);
  });

  it.each<[string, Error, Cause]>([
    [
      'its code',
      new LogError('LOG_INVALID', 'no such record'),
      { code: 'LOG_INVALID', message: 'no such record' },
    ],
    ["the group's code", new Error('a bug'), { code: 'DRIVERS_FAILED', message: 'a bug' }],
  ])('that cannot go on says why, with %s, as often as it takes', async (_, error, expected) => {
    const causes: Cause[] = [];
    const drive = vi.fn(() => Promise.reject(error));
    await member(drive, {
      fail: async (run, cause) => {
        causes.push(cause);
        if (causes.length === 1) throw new LogError('LOG_UNAVAILABLE', 'no broker answers');
        await events.publish([{ type: 'run.failed', id: run, data: { run, cause } }]);
      },
    });
    await events.publish([requested]);
    await vi.waitFor(() => expect(causes).toEqual([expected, expected]), DEADLINE);
    expect(drive).toHaveBeenCalledTimes(1);
  });

  it('ends when it is no longer wanted, whatever it throws then', async () => {
    const ended = vi.fn();
    await member(async (_, signal) => {
      await untilAborted(signal);
      ended();
      throw new Error('interrupted');
    });
    await events.publish([requested]);
    await events.publish([cancelled]);
    await vi.waitFor(() => expect(ended).toHaveBeenCalledTimes(1), DEADLINE);
  });

  it('drives again what is wanted anew, and once while it is wanted', async () => {
    const drive = vi.fn(async () => {});
    await member(drive);
    await events.publish([requested]);
    await vi.waitFor(() => expect(drive).toHaveBeenCalledTimes(1), DEADLINE);
    await events.publish([requested, requested]);
    await events.publish([cancelled, requested]);
    await vi.waitFor(() => expect(drive).toHaveBeenCalledTimes(2), DEADLINE);
    await events.publish([cancelled]);
    await events.publish([requested]);
    await vi.waitFor(() => expect(drive).toHaveBeenCalledTimes(3), DEADLINE);
  });

  it('that waits does not hold up the stop of its service', async () => {
    const drive = vi.fn(() => Promise.reject(new LogError('LOG_FENCED', 'another writer took over')));
    const { stop } = await member(drive, { fencedPauseMs: FOREVER_MS });
    await events.publish([requested]);
    await vi.waitFor(() => expect(drive).toHaveBeenCalled(), DEADLINE);
    await stop();
    expect(drive).toHaveBeenCalledTimes(1);
  });
});
