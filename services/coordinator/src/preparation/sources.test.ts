import { createEvents, createProjection, type Events, type NewEvent, topicSpecs } from '@rlhf-streams/bus';
import { type EventLog, memoryLog } from '@rlhf-streams/log';
import { applyRunEvent, parseRunConfig, type RunView } from '@rlhf-streams/runs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { completed, refuseCircle, type SourceDependencies } from './sources.js';

const configured = (run: string, ...sources: string[]) =>
  parseRunConfig({
    run,
    method: 'ppo',
    steps: 1,
    model: 'folder',
    prompts: 'bundled',
    scorers: ['gold:bundled', ...sources.map((source) => `run:${source}`)],
  });

const state = (runs: Record<string, readonly string[]>, status: RunView['status'] = 'requested') =>
  new Map(
    Object.entries(runs).map(([run, sources]) => [
      run,
      {
        run,
        status,
        config: configured(run, ...sources),
        partition: 0,
        requestOffset: 0,
        testItems: 0,
        from: {},
        requestedAt: 0,
      },
    ]),
  );

describe('runs that build on each other', () => {
  it('in a circle are refused, with the way round', () => {
    const runs = state({ a: ['x', 'b'], b: ['x', 'c'], c: ['a'], x: [] });
    expect(() => refuseCircle(runs, runs.get('a')!.config)).toThrow(
      /got a circle in which each waits for the next: a, b, c, a$/,
    );
  });

  it('may be built on by several, and be built on a circle that has ended', () => {
    const runs = state({ a: ['b', 'c'], b: ['d'], c: ['d'], d: [] });
    expect(() => refuseCircle(runs, runs.get('a')!.config)).not.toThrow();
    const over = state({ a: ['b'], b: ['a'] }, 'cancelled');
    expect(() => refuseCircle(over, over.get('a')!.config)).not.toThrow();
  });

  it('may name runs that are not known yet, and wait for a circle of others without going round for ever', () => {
    const runs = state({ a: ['b', 'z'], b: ['c'], c: ['b'] });
    expect(() => refuseCircle(runs, runs.get('a')!.config)).not.toThrow();
  });
});

describe('a run that builds on others', () => {
  let log: EventLog;
  let events: Events;
  let stop: AbortController;
  /** The projection reads of the log when it is told to: until then it knows what it was begun with. */
  let catchUp: () => void;
  let dependencies: SourceDependencies;
  beforeEach(async () => {
    log = memoryLog();
    await log.ensureTopics(topicSpecs);
    events = createEvents({ log, source: 'test' });
    stop = new AbortController();
  });
  /** The projection begins with what the log has after these. */
  async function begin(...before: readonly NewEvent[]): Promise<void> {
    await events.publish(before);
    const told = new Promise<void>((resolve) => {
      catchUp = resolve;
    });
    const runs = createProjection<'runs', RunView>({
      events: {
        readAll: events.readAll,
        follow: async function* (options) {
          await told;
          yield* events.follow(options);
        },
      },
      topics: ['runs'],
      apply: applyRunEvent,
      signal: stop.signal,
    });
    await runs.caughtUp;
    dependencies = { context: { events } as SourceDependencies['context'], runs };
  }
  afterEach(async () => {
    stop.abort();
    await events.close();
    await log.close();
  });

  const requested = (run: string, ...sources: string[]): NewEvent => ({
    type: 'run.requested',
    id: `${run}/requested`,
    data: { run, config: { ...configured(run, ...sources) } },
  });
  const ends = (run: string, type: 'run.completed' | 'run.failed' | 'run.cancelled'): NewEvent => {
    if (type === 'run.completed')
      return { type, id: `${run}/completed`, data: { run, steps: 1, policyVersion: 1 } };
    if (type === 'run.cancelled') return { type, id: `${run}/cancelled`, data: { run, reason: 'enough' } };
    return { type, id: `${run}/failed`, data: { run, cause: { code: 'BROKEN', message: 'it broke' } } };
  };
  const wait = (run: string, ...sources: string[]) =>
    completed(dependencies, configured(run, ...sources), stop.signal);

  it('waits for all, of which the projection may not have heard yet', async () => {
    await begin();
    await events.publish([requested('a'), requested('b'), requested('r', 'a', 'b')]);
    expect(dependencies.runs.state.size).toBe(0);
    let over = false;
    const waiting = wait('r', 'a', 'b').then(() => {
      over = true;
    });
    catchUp();
    await events.publish([ends('b', 'run.completed')]);
    await dependencies.runs.waitFor((state) => state.get('b')?.status === 'completed', { what: 'b' });
    expect(over).toBe(false);
    await events.publish([ends('a', 'run.completed')]);
    await waiting;
  });

  it('takes a run that has completed, and whose extension was cancelled', async () => {
    const extended: NewEvent = { type: 'run.extended', id: 'a/extended/1/2', data: { run: 'a', steps: 2 } };
    await begin(requested('a'), ends('a', 'run.completed'), extended, ends('a', 'run.cancelled'));
    catchUp();
    await wait('r', 'a');
    expect(dependencies.runs.state.get('a')?.status).toBe('cancelled');
  });

  it('fails as soon as one has failed or was cancelled, and names it and why', async () => {
    await begin(requested('a'), requested('b'), requested('c'));
    catchUp();
    const waiting = wait('r', 'a', 'b');
    const other = wait('s', 'c');
    await events.publish([ends('b', 'run.failed'), ends('c', 'run.cancelled')]);
    await expect(waiting).rejects.toMatchObject({
      code: 'RUN_SOURCE_FAILED',
      message: 'run b, which this one builds on, failed: it broke',
    });
    await expect(other).rejects.toThrow('run c, which this one builds on, was cancelled: enough');
  });

  it('does not fail for an earlier request of a run that was requested anew with it', async () => {
    await begin(requested('a'), ends('a', 'run.failed'));
    await events.publish([requested('a'), requested('r', 'a')]);
    expect(dependencies.runs.state.get('a')!.status).toBe('failed');
    const waiting = wait('r', 'a');
    catchUp();
    await events.publish([ends('a', 'run.completed')]);
    await waiting;
  });

  it('is refused where one was never requested, with the name that was meant', async () => {
    await begin(requested('alpha'));
    await expect(wait('r', 'alhpa')).rejects.toMatchObject({
      code: 'RUN_SOURCE_UNKNOWN',
      message: expect.stringContaining('did you mean alpha?'),
    });
  });
});
