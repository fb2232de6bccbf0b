import { createEvents, createProjection, type Events, type NewEvent, topicSpecs } from '@rlhf-streams/bus';
import { type DataFor, itemId } from '@rlhf-streams/events';
import { type EventLog, memoryLog } from '@rlhf-streams/log';
import { applyRunEvent, type Item, parseRunConfig, type RunView } from '@rlhf-streams/runs';
import { createLogger } from '@rlhf-streams/service';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { OptimizerThread } from './thread.js';
import { type TrainDependencies, train } from './train.js';

const STEPS = 4;
const BATCH = 2;
const TEST_ITEMS = 3;

let log: EventLog;
let events: Events;
let stop: AbortController;
beforeEach(async () => {
  log = memoryLog();
  await log.ensureTopics(topicSpecs);
  events = createEvents({ log, source: 'optimizer' });
  stop = new AbortController();
});
afterEach(async () => {
  stop.abort();
  await events.close();
  await log.close();
});

const source = parseRunConfig({
  run: 'source',
  method: 'sft',
  model: 'm',
  data: 'd',
  steps: STEPS,
  batchSize: BATCH,
  checkpointEvery: 2,
});
const replay = { ...source, run: 'again', replay: 'source' };
const artifact = { uri: 'artifact:m', sha256: '1'.repeat(64) };

const viewOf = (view: Partial<RunView>): RunView => ({
  run: 'again',
  partition: 0,
  requestOffset: 0,
  status: 'running',
  config: replay,
  models: { policy: { base: artifact } },
  artifacts: {},
  steps: STEPS,
  streams: [
    { stream: 'train', kind: 'demonstrations', split: 'train', items: 20 },
    { stream: 'evaluation', kind: 'demonstrations', split: 'test', items: TEST_ITEMS },
  ],
  testItems: TEST_ITEMS,
  from: {},
  requestedAt: 0,
  ...view,
});

/** Computes nothing; the artifacts it saves are numbered by its steps. */
function fake(): { dependencies: TrainDependencies; computed: string[][] } {
  const computed: string[][] = [];
  const compute: OptimizerThread = {
    open: async () => ({ step: 0, positions: {} }),
    update: async (_, items) => ({ metrics: { items: note(items) } }),
    extend: async () => {},
    evaluate: async (_, items) => ({ 'eval/items': note(items) }),
    savePublished: async () => {},
    saveCheckpoint: async () => {},
    close: async () => {},
  };
  const note = (items: readonly Item[]): number => {
    computed.push(items.map(({ id }) => id));
    return items.length;
  };
  let puts = 0;
  const put = async () => ({ uri: 'artifact:v', sha256: String(puts++).padStart(64, '0') });
  const artifacts = { fetch: async () => 'folder', putDirectory: put } as unknown as ArtifactStore;
  const temporary: TemporaryFolders = { use: async (work) => work('folder'), sweep: async () => {} };
  const logger = createLogger({ level: 'silent' });
  const runs = createProjection({ events, topics: ['runs'], apply: applyRunEvent, signal: stop.signal });
  return {
    dependencies: { context: { events, artifacts, temporary, logger }, compute, runs, build },
    computed,
  };
}
type ArtifactStore = TrainDependencies['context']['artifacts'];
type TemporaryFolders = TrainDependencies['context']['temporary'];

const demonstration = (run: string, step: number, index: number): NewEvent => {
  const id = itemId(run, step, index);
  const split = index < BATCH ? ('train' as const) : ('test' as const);
  const data = { run, step, demonstration: id, split, promptTokens: [], tokens: [1] };
  return { type: 'demonstration.recorded', id, data };
};
/** The held-out items are measured in the last step. */
const issued = (run: string, step: number): NewEvent => {
  const kind = 'demonstrations' as const;
  const train = { stream: 'train' as const, kind, split: 'train' as const, rows: { from: 0, count: BATCH } };
  const evaluation = { kind, split: 'test' as const, rows: { from: 0, count: TEST_ITEMS } };
  const streams = [train, ...(step === STEPS - 1 ? [{ stream: 'evaluation' as const, ...evaluation }] : [])];
  return { type: 'step.issued', id: `${run}/${step}`, data: { run, step, streams } };
};
const idsIn = (step: number) =>
  Array.from({ length: step < STEPS - 1 ? BATCH : BATCH + TEST_ITEMS }, (_, i) => [step, i] as const);
/** What the source run was trained on. */
const logged = Array.from({ length: STEPS }, (_, step) => idsIn(step)).flat();
const listed = (run: string) => Array.from({ length: STEPS }, (_, step) => issued(run, step));
const loggedOf = (run: string, which = logged): NewEvent[] => [
  ...which.map(([step, i]) => demonstration(run, step, i)),
  ...listed(run),
];

async function metricsOf(run: string): Promise<DataFor<'step.completed'>[]> {
  const steps: DataFor<'step.completed'>[] = [];
  for await (const { data } of events.readAll(['training-metrics'])) if (data.run === run) steps.push(data);
  return steps;
}
const versionsOf = async (run: string) => {
  const versions: DataFor<'policy.published'>[] = [];
  for await (const { data } of events.readAll(['policy-versions'])) if (data.run === run) versions.push(data);
  return versions;
};
const never = new AbortController().signal;
const build = { version: '1.1.0', code: 'f00d', onnxruntime: '1.30.0', platform: 'linux-x64' };
const older = { ...build, version: '1.0.0', code: 'c0de' };

const requestSource = () =>
  events.publish([{ type: 'run.requested', id: 'source', data: { run: 'source', config: { ...source } } }]);

it.each(['update', 'close'] as const)('who stops waits for no step that is computed: %s', async (hanging) => {
  await requestSource();
  await events.publish(loggedOf('source'));
  const { dependencies } = fake();
  let begun = () => {};
  const computing = new Promise<void>((resolve) => {
    begun = resolve;
  });
  const withoutEnd = () => {
    begun();
    return new Promise<never>(() => {});
  };
  const compute = {
    ...dependencies.compute,
    update: withoutEnd,
    ...(hanging === 'close' && { close: withoutEnd }),
  };
  const training = train({ ...dependencies, compute }, viewOf({}), stop.signal);
  await computing;
  const reason = new Error('stopped');
  stop.abort(reason);
  await expect(training).rejects.toBe(reason);
  expect(await metricsOf('again')).toEqual([]);
});

describe('a run that waits', () => {
  beforeEach(() => vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] }));
  afterEach(() => vi.useRealTimers());

  const { stallTimeoutMs } = source;
  /**
   * Advances the clock until a `run.waiting` event says that the run lacks this many demonstrations.
   * @returns how long the run has waited by then, as the event tells it, in milliseconds
   */
  const waitsFor = (demonstrations: number) =>
    vi.waitFor(async () => {
      await vi.advanceTimersByTimeAsync(stallTimeoutMs / 100);
      const waits: DataFor<'run.waiting'>[] = [];
      for await (const { type, data } of events.readAll(['runs']))
        if (type === 'run.waiting') waits.push(data);
      const found = waits.find(({ waitingFor }) => waitingFor.demonstrations === demonstrations);
      if (!found) throw new Error('not yet');
      return found.sinceMs;
    });

  it('has stalled when nothing comes any more, and not while its items come one by one', async () => {
    const { dependencies } = fake();
    const view = viewOf({ run: 'source', config: source });
    const training = train(dependencies, view, stop.signal);
    training.catch(() => {});
    await events.publish([issued('source', 0)]);
    expect(await waitsFor(2)).toBeLessThan(stallTimeoutMs / 10);
    await vi.advanceTimersByTimeAsync(0.7 * stallTimeoutMs);
    await events.publish([demonstration('source', 0, 0)]);
    // The wait began anew with it.
    expect(await waitsFor(1)).toBeLessThan(stallTimeoutMs / 10);
    await vi.advanceTimersByTimeAsync(stallTimeoutMs);
    await expect(training).rejects.toMatchObject({ code: 'RUN_STALLED' });
  });
});

describe('a run with a checkpoint', () => {
  beforeEach(requestSource);

  const from = { rollouts: [], demonstrations: [] };
  /** Goes on with a run from its checkpoint after step 1, which build `saved` wrote. */
  async function goOn(saved: typeof build | undefined, view: Partial<RunView> = {}) {
    await events.publish([
      ...[0, 2].map(
        (step): NewEvent => ({
          type: 'policy.published',
          id: `again/version/${step}`,
          data: {
            run: 'again',
            version: step,
            step,
            model: { base: artifact },
            ...(step && { checkpoint: { step, artifact } }),
          },
        }),
      ),
      ...loggedOf('source'),
    ]);
    const { dependencies } = fake();
    const { compute } = dependencies;
    const open = async () => ({ step: 2, positions: from, build: saved });
    await train({ ...dependencies, compute: { ...compute, open } }, viewOf(view), never);
    const told: unknown[] = [];
    for await (const { type, data } of events.readAll(['runs']))
      if (type === 'run.build-changed') told.push(data);
    return told;
  }

  it('of another build says so', async () => {
    expect(await goOn(older)).toEqual([{ run: 'again', step: 2, from: older, to: build }]);
  });
  it('of a build that did not say which says so', async () => {
    expect(await goOn(undefined)).toEqual([{ run: 'again', step: 2, to: build }]);
  });
  it('of this build says nothing, whatever the revision is called', async () => {
    expect(await goOn({ ...build, revision: 'abc' } as typeof build)).toEqual([]);
  });
  it('of another ONNX Runtime says so', async () => {
    const from = { ...build, onnxruntime: '1.29.0' };
    expect(await goOn(from)).toEqual([{ run: 'again', step: 2, from, to: build }]);
  });
  it('says it once', async () => {
    const buildChanges = [{ step: 2, from: older, to: build }];
    expect(await goOn(older, { buildChanges })).toEqual([]);
  });
  it('of this build, which another went on with since, names that one', async () => {
    const buildChanges = [{ step: 2, from: build, to: older }];
    expect(await goOn(build, { buildChanges })).toEqual([{ run: 'again', step: 2, from: older, to: build }]);
  });
});

describe('a replay', () => {
  beforeEach(requestSource);

  it('computes the steps of its source in their order, and publishes under its own name', async () => {
    await events.publish(loggedOf('source').toReversed());
    await events.publish(loggedOf('other'));
    const { dependencies, computed } = fake();
    await train(dependencies, viewOf({}), never);

    expect(computed).toEqual(
      [...[0, 1, 2, 3].map((step) => [step, 0, BATCH]), [3, BATCH, BATCH + TEST_ITEMS]].map(
        ([step, first, end]) =>
          Array.from({ length: end! - first! }, (_, i) => itemId('source', step!, first! + i)),
      ),
    );
    const published = await versionsOf('again');
    expect(published.map(({ version }) => version)).toEqual([0, 2, 4]);
    expect(await versionsOf('source')).toEqual([]);
    expect((await metricsOf('again')).map(({ step, split, published }) => [step, split, published])).toEqual([
      [0, 'train', undefined],
      [1, 'train', published[1]!.model],
      [2, 'train', undefined],
      [3, 'train', published[2]!.model],
    ]);
    expect((await metricsOf('again')).map(({ metrics }) => [metrics.items, metrics['eval/items']])).toEqual([
      ...Array(3).fill([BATCH, undefined]),
      [BATCH, TEST_ITEMS],
    ]);
  });

  it('of a run that ended early publishes what came of its last step', async () => {
    await events.publish(loggedOf('source'));
    const { dependencies, computed } = fake();
    await train(dependencies, viewOf({ steps: 3 }), never);
    expect(computed).toHaveLength(3);
    expect((await versionsOf('again')).map(({ version }) => version)).toEqual([0, 2, 3]);
  });

  it('fails at once when the log does not hold all of it any more, and says what is missing', async () => {
    const kept = logged.filter(([step, index]) => !(step === 2 && index === 1));
    await events.publish(loggedOf('source', kept));
    const { dependencies, computed } = fake();
    await expect(train(dependencies, viewOf({}), never)).rejects.toMatchObject({
      code: 'REPLAY_INCOMPLETE',
      message: expect.stringMatching(/run source .* step 2, missing: 1 from demonstrations/),
    });
    expect(computed).toHaveLength(2);
  });

  it('reads its source from where that began', async () => {
    await events.publish(loggedOf('source'));
    const { latest } = await log.positions(['demonstrations']);
    const { dependencies } = fake();
    await expect(train(dependencies, viewOf({ from: latest }), never)).rejects.toThrow('step 0');
  });
});

describe('a metric that passes its threshold', () => {
  beforeEach(requestSource);
  const METRIC = 'completions/clipped_ratio';
  const measured = [0.9, 0.8, 0.1, 0.7];

  /** Trains until `killedAt`, from the beginning: no checkpoint has been saved yet. */
  async function trained(killedAt = STEPS) {
    const { dependencies } = fake();
    let step = 0;
    const update: OptimizerThread['update'] = async () => {
      if (step === killedAt) throw new Error('killed');
      return { metrics: { [METRIC]: measured[step++]! } };
    };
    const compute = { ...dependencies.compute, update };
    await train({ ...dependencies, compute }, viewOf({ config: { ...replay, checkpointEvery: 9 } }), never);
  }
  const warned = async () => {
    const all: DataFor<'run.warning'>[] = [];
    for await (const event of events.readAll(['runs']))
      if (event.type === 'run.warning') all.push(event.data);
    return all.map(({ run, step, metric, value, threshold }) => [run, step, metric, value, threshold]);
  };
  const expected = [
    ['again', 0, METRIC, 0.9, 0.5],
    ['again', 3, METRIC, 0.7, 0.5],
  ];

  it('warns once, and again after it came back', async () => {
    await events.publish(loggedOf('source'));
    await trained();
    expect(await warned()).toEqual(expected);
  });

  it.each([0, 1, 3])('warns as often when the run is killed in step %i', async (step) => {
    await events.publish(loggedOf('source'));
    await expect(trained(step)).rejects.toThrow('killed');
    await trained();
    expect(await warned()).toEqual(expected);
  });
});

describe('a run that waits for its items', () => {
  const config = { ...source, run: 'own', stallTimeoutMs: 1000 };
  const own = () => viewOf({ run: 'own', config });
  const requested: NewEvent = {
    type: 'run.requested',
    id: 'own',
    data: { run: 'own', config: { ...config } },
  };
  const said = async (type: string) => {
    const all: DataFor<'run.paused'>[] = [];
    for await (const event of events.readAll(['runs'])) {
      if (event.type === type) all.push(event.data as DataFor<'run.paused'>);
    }
    return all;
  };

  it('fails at its deadline, and quotes the newest of its dead letters', async () => {
    const letter = (run: string, offset: number, message: string): NewEvent => ({
      type: 'record.rejected',
      id: `reward/rollouts/0/${offset}`,
      data: {
        service: 'reward',
        source: { topic: 'rollouts', partition: 0, offset },
        key: 'k',
        value: Buffer.from(JSON.stringify({ run })).toString('base64'),
        headers: {},
        cause: { code: 'MODEL_BROKEN', message },
        attempts: 4,
      },
    });
    await events.publish([requested, letter('own', 0, 'the first')]);
    await events.publish([letter('own', 1, 'the head has no rows'), letter('other', 2, 'not ours')]);
    const error = await train(fake().dependencies, own(), never).catch((error: unknown) => error);
    expect(error).toMatchObject({ code: 'RUN_STALLED' });
    expect((error as Error).message).toMatch(
      /2 of the run's records .* the newest by reward: the head has no rows \(MODEL_BROKEN\)/,
    );
  });

  it('fails at its deadline, and quotes a policy replica that cannot sample', async () => {
    const replica = (name: string, behind: boolean): NewEvent => {
      const data = { replica: name, run: 'own', version: 0, fetchMs: 1 };
      const cause = { code: 'MODEL_MEMORY', message: `no room on ${name}` };
      return behind
        ? { type: 'replica.behind', id: `${name}/behind`, data: { ...data, cause } }
        : { type: 'replica.applied', id: `${name}/applied`, data };
    };
    await events.publish([requested, replica('a', true), replica('b', true), replica('a', false)]);
    await expect(train(fake().dependencies, own(), never)).rejects.toMatchObject({
      code: 'RUN_STALLED',
      message: expect.stringMatching(/policy replica b cannot .*: no room on b \(MODEL_MEMORY\)$/),
    });
  });

  it('does not count the time that it is paused, and is resumed by the step that is done', async () => {
    await events.publish([
      requested,
      {
        type: 'run.paused',
        id: 'p',
        data: { run: 'own', by: 'policy', cause: { code: 'EIO', message: 'disk' } },
      },
    ]);
    const { dependencies } = fake();
    const training = train(dependencies, own(), never);
    let stalled = false;
    training.catch(() => {
      stalled = true;
    });
    // A run of the same kind that is not paused, begun later, has reached its deadline.
    const other = { ...config, run: 'other' };
    await expect(
      train(fake().dependencies, viewOf({ run: 'other', config: other }), never),
    ).rejects.toMatchObject({ code: 'RUN_STALLED' });
    expect(stalled).toBe(false);
    await events.publish(loggedOf('own'));
    await training;
    expect(await said('run.resumed')).toEqual([{ run: 'own' }]);
  });

  it('does not reach its deadline while the log takes nothing', async () => {
    const { dependencies } = fake();
    let refused = 0;
    const publish: Events['publish'] = async () => {
      refused++;
      throw new Error('the log could not write to disk');
    };
    const context = { ...dependencies.context, events: { ...events, publish } };
    const training = train({ ...dependencies, context }, own(), stop.signal);
    let stalled = false;
    training.catch(() => {
      stalled = true;
    });
    // The run reports its wait at each half of the deadline, and the log refuses every report.
    await vi.waitFor(() => expect(refused).toBeGreaterThan(3), { timeout: 20_000 });
    expect(stalled).toBe(false);
  });
});
