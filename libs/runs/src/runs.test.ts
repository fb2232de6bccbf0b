import type { DataFor, TopicEvent } from '@rlhf-streams/events';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ConfigOf } from './methods/index.js';
import { parseRunConfig } from './run-config.js';
import { applyRunEvent, hasEnded, isArchived, type RunView, requestedConfig, stepsAt } from './runs.js';

/** Where the log has them is added by `given`. */
type RunEvent = TopicEvent<'runs'>;

const config = { run: 'r', method: 'sft', steps: 2, model: 'm', data: 'd' };
const models = { policy: { base: { uri: 'artifact:p', sha256: '1'.repeat(64) } } };
const artifacts = { items: { uri: 'artifact:i', sha256: '2'.repeat(64) } };
const from = { demonstrations: [4, 0], 'training-metrics': [9] };
const cause = { code: 'BROKEN', message: 'it broke' };

const requested: RunEvent = { type: 'run.requested', data: { run: 'r', config } };
const started: RunEvent = {
  type: 'run.started',
  data: { run: 'r', config, steps: 2, testItems: 5, models, artifacts, from },
};
const missing = { step: 1, waitingFor: { rewards: 3 }, sinceMs: 15_000, deadlineMs: 60_000 };
const waiting: RunEvent = { type: 'run.waiting', data: { run: 'r', ...missing } };
const paused: RunEvent = { type: 'run.paused', data: { run: 'r' } };
const resumed: RunEvent = { type: 'run.resumed', data: { run: 'r' } };
const completed: RunEvent = { type: 'run.completed', data: { run: 'r', steps: 2, policyVersion: 2 } };
const failed: RunEvent = { type: 'run.failed', data: { run: 'r', cause } };
const cancelled: RunEvent = { type: 'run.cancelled', data: { run: 'r', reason: 'the data was wrong' } };

/** The runs after events that came one after another, the first at time 100. */
function given(...events: readonly RunEvent[]): Map<string, RunView> {
  const runs = new Map<string, RunView>();
  events.forEach((event, i) => {
    applyRunEvent(runs, { ...event, partition: 3, offset: 40 + i, time: 100 + i });
  });
  return runs;
}
const viewAfter = (...events: readonly RunEvent[]) => given(...events).get('r');

const request = {
  run: 'r',
  partition: 3,
  requestOffset: 40,
  status: 'requested',
  config: parseRunConfig(config),
  testItems: 0,
  from: {},
  requestedAt: 100,
};
const running = { ...request, status: 'running', models, artifacts, steps: 2, testItems: 5, from };

describe('a run', () => {
  it('begins with its request, its defaults said', () => {
    expect(viewAfter(requested)).toEqual(request);
  });

  it('does what its build did that knew no pairs of more than two completions, and is still what was requested', () => {
    const asked = { run: 'r', method: 'reward', steps: 2, model: 'm', data: 'd' };
    const parsed = parseRunConfig(asked) as ConfigOf<'reward'>;
    const start = (config: object): RunEvent =>
      ({ ...started, data: { ...started.data, config: { ...config } } }) as RunEvent;
    const request: RunEvent = { type: 'run.requested', data: { run: 'r', config: asked } };
    const earlier = viewAfter(request, start({ ...asked, reward: { maxLength: 1024 } }))!;
    expect(earlier.config).toEqual({ ...parsed, reward: { ...parsed.reward, objective: 'best_worst' } });
    expect(requestedConfig(earlier)).toEqual(parsed);
    const now = viewAfter(request, start(parsed))!;
    expect(now.config).toEqual(parsed);
    expect(requestedConfig(now)).toEqual(parsed);
  });

  it('is as it was first requested: another request under its name is nothing', () => {
    const again: RunEvent = { type: 'run.requested', data: { run: 'r', config: { ...config, steps: 99 } } };
    expect(viewAfter(requested, again)).toEqual(request);
    expect(viewAfter(requested, started, again)).toEqual(running);
  });

  it('has what it was requested with, and joins the first experiment that asks for the same', () => {
    const withOthers = (experiment: string, change: object = {}): RunEvent => ({
      type: 'run.requested',
      data: { run: 'r', config: { ...config, ...change }, experiment, order: 2, tags: { seed: '7' } },
    });
    const membership = { experiment: 'e', order: 2, tags: { seed: '7' } };
    expect(viewAfter(withOthers('e'), withOthers('f'))).toEqual({ ...request, ...membership });
    expect(viewAfter(requested, started, withOthers('e', { seed: 0 }), withOthers('f'))).toEqual({
      ...running,
      ...membership,
    });
    expect(viewAfter(requested, started, completed, withOthers('e'))).toMatchObject({
      status: 'completed',
      ...membership,
    });
    expect(viewAfter(requested, withOthers('e', { steps: 3 }))).toEqual(request);
    // What never started is requested anew, with others or alone.
    expect(viewAfter(withOthers('e'), cancelled, withOthers('f'))).toMatchObject({ experiment: 'f' });
    expect(viewAfter(withOthers('e'), cancelled, requested)).not.toHaveProperty('experiment');
  });

  it('requested with a configuration that is none has no configuration but the reason', () => {
    const view = viewAfter({ type: 'run.requested', data: { run: 'r', config: { ...config, steps: 0 } } });
    expect(view).toMatchObject({
      status: 'requested',
      cause: { code: 'TRAINING_CONFIG_INVALID', message: expect.stringContaining('steps: expected') },
    });
    expect(view).not.toHaveProperty('config');
  });

  it('runs once it is started, with what it uses', () => {
    expect(viewAfter(requested, started)).toEqual(running);
  });

  it('says what became of its rows, where its start does', () => {
    const data = { read: 3, used: 2, cut: 1, dropped: { 'empty text': 1 } };
    const accounted = { ...started, data: { ...started.data, data } } as RunEvent;
    expect(viewAfter(requested, accounted, waiting)).toEqual({
      ...running,
      data,
      waiting: missing,
    });
  });

  it('says which build started it, and each that it went on under', () => {
    const build = { version: '1.0.0', onnxruntime: '1.0.0', platform: 'linux-x64' };
    const to = { ...build, version: '1.1.0' };
    const change = { step: 2, from: build, to };
    const stamped = { ...started, data: { ...started.data, build } } as RunEvent;
    const changed: RunEvent = { type: 'run.build-changed', data: { run: 'r', ...change } };
    const later: RunEvent = { type: 'run.build-changed', data: { run: 'r', step: 4, to: build } };
    expect(viewAfter(requested, stamped)).toEqual({ ...running, build });
    expect(viewAfter(requested, stamped, changed, later)).toEqual({
      ...running,
      build,
      buildChanges: [change, { step: 4, to: build }],
    });
  });

  it('keeps the last warning of each metric', () => {
    const warning = (step: number, direction: 'above' | 'below') => ({
      step,
      metric: 'objective/kl',
      direction,
      value: 30,
      threshold: 25,
      message: 'far',
    });
    const warned = (...of: Parameters<typeof warning>): RunEvent => ({
      type: 'run.warning',
      data: { run: 'r', ...warning(...of) },
    });
    expect(viewAfter(requested, started, warned(1, 'above'), warned(2, 'below'), warned(5, 'above'))).toEqual(
      {
        ...running,
        warnings: [warning(5, 'above'), warning(2, 'below')],
      },
    );
  });

  it('says what it waits for until something else happens', () => {
    expect(viewAfter(requested, started, waiting)).toEqual({ ...running, waiting: missing });
    expect(viewAfter(requested, started, waiting, resumed)).toEqual(running);
  });

  it('may pause and go on', () => {
    const view = viewAfter(requested, started, paused);
    expect(view).toMatchObject({ ...running, status: 'paused' });
    expect(viewAfter(requested, started, paused, resumed)).toEqual(running);
  });

  it('is paused while any service says so, and says what for', () => {
    const by = (service: string): RunEvent => ({
      type: 'run.paused',
      data: { run: 'r', by: service, cause },
    });
    const goesOn = (service: string): RunEvent => ({ type: 'run.resumed', data: { run: 'r', by: service } });
    const both = [requested, started, by('policy'), by('optimizer')];
    expect(viewAfter(...both)).toEqual({
      ...running,
      status: 'paused',
      paused: { policy: cause, optimizer: cause },
    });
    expect(viewAfter(...both, goesOn('policy'))).toMatchObject({
      status: 'paused',
      paused: { optimizer: cause },
    });
    expect(viewAfter(...both, goesOn('policy'), goesOn('optimizer'))).toEqual(running);
    expect(viewAfter(...both, resumed)).toEqual(running);
    expect(viewAfter(requested, by('coordinator'), goesOn('coordinator'))).toEqual(request);
    expect(viewAfter(requested, by('coordinator'), started)).toEqual(running);
    expect(viewAfter(...both, completed)).not.toHaveProperty('paused');
  });

  it.each<[string, RunEvent, Partial<RunView>]>([
    ['completed', completed, { status: 'completed', done: 2 }],
    ['failed', failed, { status: 'failed', cause }],
    [
      'cancelled',
      cancelled,
      { status: 'cancelled', cause: { code: 'RUN_CANCELLED', message: 'the data was wrong' } },
    ],
  ])('ends when it is %s', (_, end, ended) => {
    expect(viewAfter(requested, started, end)).toEqual({
      ...running,
      ...ended,
      endedAt: 102,
      end: { partition: 3, offset: 42 },
    });
  });

  describe('that has completed', () => {
    const extended = (steps: number) => ({ type: 'run.extended', data: { run: 'r', steps } }) as const;
    it('goes on to more steps when it is extended, and may complete again', () => {
      const { endedAt: _, done: __, end: ___, ...view } = viewAfter(requested, started, completed)!;
      const extents = [
        { from: 0, steps: 2 },
        { from: 2, steps: 5 },
      ];
      const longer = viewAfter(requested, started, completed, extended(5))!;
      expect(longer).toEqual({ ...view, status: 'running', steps: 5, extents });
      expect([0, 1, 2, 4].map((step) => stepsAt(longer, step))).toEqual([2, 2, 5, 5]);
    });

    it('is not extended to what it has done, nor from any other end', () => {
      expect(viewAfter(requested, started, completed, extended(2))).toMatchObject({ status: 'completed' });
      expect(viewAfter(requested, started, failed, extended(5))).toMatchObject({ status: 'failed' });
      expect(viewAfter(requested, started, cancelled, extended(5))).toMatchObject({ status: 'cancelled' });
      expect(viewAfter(requested, started, extended(5))).toMatchObject({ status: 'running', steps: 2 });
    });
  });

  it('may fail before it is started', () => {
    expect(viewAfter(requested, failed)).toMatchObject({ ...request, status: 'failed', cause, endedAt: 101 });
  });

  it.each([failed, cancelled])('that ended before it was started may be requested again: %j', (end) => {
    const other: RunEvent = { type: 'run.requested', data: { run: 'r', config: { ...config, steps: 9 } } };
    const view = viewAfter(requested, end, started, other);
    expect(view).toEqual({
      ...request,
      config: parseRunConfig({ ...config, steps: 9 }),
      requestedAt: 103,
      requestOffset: 43,
    });
    expect(viewAfter(requested, end, other, started)).toMatchObject({
      status: 'running',
      config: { steps: 9 },
    });
    expect(viewAfter(requested, started, end, other)).toMatchObject({
      status: expect.stringMatching(/failed|canc/),
    });
  });

  it('that has ended is archived, with its end; one that went on is not, until it ends again', () => {
    const archive = { uri: 'artifact:a', sha256: '2'.repeat(64) };
    const archived = (until: number): RunEvent => ({
      type: 'run.archived',
      data: { run: 'r', archive, until: { runs: [0, 0, 0, until] }, counts: { runs: 3 } },
    });
    const over = [requested, started, completed];
    expect(isArchived(viewAfter(...over)!)).toBe(false);
    const view = viewAfter(...over, archived(43))!;
    expect(view).toMatchObject({
      status: 'completed',
      endedAt: 102,
      archive: { artifact: archive, counts: { runs: 3 }, until: { runs: [0, 0, 0, 43] }, time: 103 },
    });
    expect(isArchived(view)).toBe(true);
    // The end at offset 42 is not in an archive that was read up to it.
    expect(isArchived(viewAfter(...over, archived(42))!)).toBe(false);
    expect(isArchived({ ...view, status: 'running' })).toBe(false);
    expect(isArchived({ ...view, end: { partition: 3, offset: 50 } })).toBe(false);
  });

  it('that nobody requested is none', () => {
    expect(given(started, completed).size).toBe(0);
  });
});

describe('any sequence of events', () => {
  const anyEvent = fc.constantFrom(
    requested,
    started,
    waiting,
    paused,
    resumed,
    completed,
    failed,
    cancelled,
  );

  it('changes nothing after the end of a run that was started', () => {
    fc.assert(
      fc.property(
        fc.array(anyEvent),
        fc.constantFrom(completed, failed, cancelled),
        fc.array(anyEvent),
        (before, end, after) => {
          const ended = viewAfter(requested, started, ...before, end)!;
          expect(hasEnded(ended)).toBe(true);
          expect(viewAfter(requested, started, ...before, end, ...after)).toEqual(ended);
        },
      ),
    );
  });

  it('tells runs apart', () => {
    fc.assert(
      fc.property(
        fc.array(anyEvent),
        fc.array(anyEvent),
        fc.array(fc.boolean(), { minLength: 1 }),
        (mine, others, turns) => {
          const other = (event: RunEvent) =>
            ({ ...event, data: { ...event.data, run: 'other' } }) as RunEvent;
          const [a, b] = [[requested, ...mine], [requested, ...others].map(other)];
          const mixed: RunEvent[] = [];
          for (let turn = 0; a.length + b.length > 0; turn++) {
            const queue = b.length === 0 || (turns[turn % turns.length] && a.length > 0) ? a : b;
            mixed.push(queue.shift()!);
          }
          const timeless = (view: RunView | undefined) => ({
            ...view,
            requestOffset: 0,
            requestedAt: 0,
            endedAt: 0,
            end: undefined,
          });
          expect(timeless(given(...mixed).get('r'))).toEqual(timeless(viewAfter(requested, ...mine)));
        },
      ),
    );
  });

  it('leaves earlier views as they were', () => {
    const runs = given(requested);
    const before = runs.get('r')!;
    applyRunEvent(runs, {
      ...(started as { type: 'run.started'; data: DataFor<'run.started'> }),
      partition: 3,
      offset: 41,
      time: 101,
    });
    expect(before).toEqual(request);
  });
});
