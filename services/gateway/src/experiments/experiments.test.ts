import type { NewEvent } from '@rlhf-streams/bus';
import type { EventLog } from '@rlhf-streams/log';
import type { RunConfigInput } from '@rlhf-streams/runs';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { config, expectProblem, facts, startGateway, type TestGateway } from '../gateway.test.support.js';
import type { Run, RunSummary } from '../runs/view.js';
import type { Experiment, ExperimentSummary } from './view.js';

let gateway: TestGateway;
let now = 0;
beforeEach(async () => {
  now = Date.parse('2026-03-02T09:00:00Z');
  gateway = await startGateway({ now: () => now });
});
afterEach(() => gateway.close());

const on = (run: string, source: string): RunConfigInput => ({
  run,
  method: 'sft',
  steps: 4,
  model: `run:${source}`,
  data: 'bundled',
});
/** `first` alone, `second` on it, and `third` on `second`. */
const set = (change: object = {}) => ({
  experiment: 'e',
  runs: [config('first'), on('second', 'first'), on('third', 'second')],
  ...change,
});
const post = (body: unknown, of = gateway) => of.post('/v1/experiments', body);
const show = async (experiment = 'e'): Promise<Experiment> =>
  (await gateway.get(`/v1/experiments/${experiment}`)).json() as Promise<Experiment>;
const statuses = ({ runs }: Experiment) => runs.map(({ status }) => status);

/** Publishes, and waits until the gateway shows it. */
async function tell(events: readonly NewEvent[], shown: (experiment: Experiment) => void): Promise<void> {
  await gateway.events.publish(events);
  await vi.waitFor(async () => shown(await show()), { timeout: 20_000, interval: 2 });
}

async function published(): Promise<string[]> {
  const ids: string[] = [];
  for await (const event of gateway.events.readAll(['runs'])) ids.push(event.id);
  return ids.sort();
}

describe('POST /v1/experiments', () => {
  it('requests all runs, and answers with them in their order and what each waits for', async () => {
    const response = await post(set({ tags: { seed: '7' } }));
    expect(response.status).toBe(201);
    expect(response.headers.get('location')).toBe('/v1/experiments/e');
    const experiment = (await response.json()) as Experiment;
    expect(experiment).toMatchObject({
      experiment: 'e',
      status: 'requested',
      tags: { seed: '7' },
      requestedAt: '2026-03-02T09:00:00.000Z',
      links: { self: '/v1/experiments/e', cancel: '/v1/experiments/e/cancel' },
    });
    expect(experiment.runs.map(({ run, waitsFor }) => [run, waitsFor])).toEqual([
      ['first', undefined],
      ['second', ['first']],
      ['third', ['second']],
    ]);
    expect(await show()).toEqual(experiment);
    expect(await (await gateway.get('/v1/runs/second')).json()).toMatchObject({
      experiment: 'e',
      tags: { seed: '7' },
      waitsFor: ['first'],
      config: on('second', 'first'),
    });
  });

  it('takes the same set again as the same experiment, however its runs are ordered', async () => {
    const created = await (await post(set())).json();
    const again = await post(set({ runs: set().runs.toReversed() }));
    expect(again.status).toBe(200);
    expect(await again.json()).toEqual(created);
    expect(await published()).toHaveLength(3);
  });

  it('answers for a set that is there while the log takes no writes', async () => {
    await post(set());
    const denied = () => Promise.reject(new Error('the disk is full'));
    const other = await startGateway({
      log: gateway.log,
      wrap: (log) => ({ ...log, publish: denied, transactional: denied }),
    });
    expect((await post(set(), other)).status).toBe(200);
    await other.close();
  });

  it('adds runs to an experiment that has others', async () => {
    await post(set());
    const larger = await post(set({ runs: [...set().runs, on('fourth', 'third')] }));
    expect(larger.status).toBe(201);
    expect((await show()).runs.map(({ run }) => run)).toEqual(['first', 'second', 'third', 'fourth']);
    expect(await published()).toHaveLength(4);
  });

  it('takes in runs that were requested alone, and may build on others that were', async () => {
    await gateway.post('/v1/runs', config('first'));
    await gateway.post('/v1/runs', config('base'));
    expect((await post(set({ runs: [...set().runs, on('fourth', 'base')] }))).status).toBe(201);
    expect((await show()).runs.map(({ run }) => run)).toEqual(['first', 'second', 'third', 'fourth']);
    expect((await post(set())).status).toBe(200);
    expect((await gateway.post('/v1/runs', config('first'))).status).toBe(200);
  });

  it('requests runs anew that ended before they were started, and those that failed for want of them', async () => {
    await post(set());
    const fails = (run: string) => facts.failed(run);
    await tell([fails('first'), fails('second'), fails('third')], (experiment) =>
      expect(experiment.status).toBe('failed'),
    );
    const again = await post(set({ runs: [{ ...config('first'), steps: 9 }, ...set().runs.slice(1)] }));
    expect(again.status).toBe(201);
    const experiment = (await again.json()) as Experiment;
    expect(statuses(experiment)).toEqual(['requested', 'requested', 'requested']);
    expect(experiment.runs[0]!.steps.total).toBe(9);
  });

  it('waits until runs have failed that cannot start any more, so that all are requested anew', async () => {
    await post(set());
    await tell([facts.failed('first')], (experiment) => expect(experiment.runs[0]!.status).toBe('failed'));
    const again = post(set());
    // As the coordinator does some time after.
    await gateway.events.publish([facts.failed('second')]);
    await gateway.events.publish([facts.failed('third')]);
    const experiment = (await (await again).json()) as Experiment;
    expect(statuses(experiment)).toEqual(['requested', 'requested', 'requested']);
    expect((await published()).filter((id) => id === 'third/requested')).toHaveLength(2);
  });

  it('refuses what exists otherwise, naming everything that differs, and requests nothing', async () => {
    await gateway.post('/v1/runs', { ...config('first'), steps: 5 });
    await post({ experiment: 'other', runs: [config('third')] });
    const problem = await expectProblem(await post(set()), 409, 'RUN_EXISTS');
    expect(problem.errors).toEqual([
      { path: 'runs[0].steps', message: 'expected 5, as the run has it, got 4', code: 'differs' },
      {
        path: 'runs[2].run',
        message: 'expected a run of no other experiment, got third, which is of experiment other',
        code: 'differs',
      },
    ]);
    expect(await published()).toEqual(['first/requested', 'third/requested']);
    expect((await gateway.get('/v1/experiments/e')).status).toBe(404);
  });

  it('refuses the same set with other tags', async () => {
    await post(set({ tags: { seed: '7' } }));
    const problem = await expectProblem(await post(set({ tags: { seed: '8' } })), 409, 'RUN_EXISTS');
    expect(problem.errors![0]).toMatchObject({ path: 'tags' });
    // Every run has other tags; the summary says so once.
    expect(problem.detail).toMatch(/differ in tags: /);
  });

  it('refuses runs that build on none of the set or the log, by name', async () => {
    await gateway.post('/v1/runs', config('base'));
    const body = set({ runs: [config('first'), on('second', 'frist'), on('third', 'nowhere')] });
    const problem = await expectProblem(await post(body), 400, 'RUN_SOURCE_UNKNOWN');
    expect(problem.errors).toEqual([
      {
        path: 'runs[1].model',
        message:
          'expected a run of this set or one that was requested before, got frist: did you mean first?',
        code: 'unknown_run',
      },
      {
        path: 'runs[2].model',
        message: 'expected a run of this set or one that was requested before, got nowhere',
        code: 'unknown_run',
      },
    ]);
    expect(await published()).toEqual(['base/requested']);
  });

  it.each([
    ['a mistake in a run', { runs: [config('first'), { ...config('second'), steps: 0 }] }, ['runs[1].steps']],
    ['two runs of a name', { runs: [config('first'), config('first')] }, ['runs[1].run']],
    ['a run that builds on itself', { runs: [on('first', 'first')] }, ['runs[0].model']],
    ['a circle', { runs: [on('a', 'b'), on('b', 'c'), on('c', 'b')] }, ['runs[1].model']],
    ['a name that is none', { experiment: 'My Study' }, ['experiment']],
    ['no name', { experiment: undefined }, ['experiment']],
    ['no runs', { runs: [] }, ['runs']],
    ['runs that are no list', { runs: { first: config('first') } }, ['runs']],
    ['a run that is no object', { runs: [config('first'), null, 'second'] }, ['runs[1]', 'runs[2]']],
    ['tags that are no text', { tags: { seed: 7 } }, ['tags.seed']],
    ['a tag without a name', { tags: { '': 'x' } }, ['tags.']],
    ['an unknown key', { run: 'first' }, ['']],
    ['mistakes in the set and in its runs', { tags: 7, runs: [{ run: 'X' }] }, ['tags', 'runs[0].method']],
  ])('refuses %s by its path, and requests nothing', async (_, change, paths) => {
    const problem = await expectProblem(await post(set(change)), 400, 'INVALID_REQUEST');
    expect(problem.errors!.map(({ path }) => path)).toEqual(expect.arrayContaining(paths));
    expect(await published()).toEqual([]);
  });

  it('says which circle it is', async () => {
    const body = set({ runs: [on('a', 'b'), on('b', 'c'), on('c', 'b')] });
    const { errors } = await expectProblem(await post(body), 400, 'INVALID_REQUEST');
    expect(errors).toEqual([
      {
        path: 'runs[1].model',
        message:
          'expected runs that end before this one starts, got a circle in which each waits for the next: b, c, b',
        code: 'circle',
      },
    ]);
  });

  it('refuses paths outside of the roots, by where the set has them', async () => {
    const body = set({ runs: [config('first'), { ...config('second'), data: '/etc/passwd' }] });
    const { errors } = await expectProblem(await post(body), 403, 'PATH_NOT_ALLOWED');
    expect(errors).toMatchObject([{ path: 'runs[1].data' }]);
    expect(await published()).toEqual([]);
  });

  it('names the run whose configuration is too large', async () => {
    const body = set({ runs: [config('first'), { ...config('second'), data: 'x'.repeat(300_000) }] });
    const { detail } = await expectProblem(await post(body), 413, 'CONFIG_TOO_LARGE');
    expect(detail).toContain('in runs[1]');
  });

  it('is requested once, however many ask for it of however many gateways', async () => {
    const others = [await startGateway({ log: gateway.log }), await startGateway({ log: gateway.log })];
    const gateways = [gateway, ...others];
    const answers = await Promise.all(
      Array.from({ length: 12 }, (_, n) => post(set(), gateways[n % gateways.length])),
    );
    expect(answers.map(({ status }) => status).sort()).toEqual([...Array(11).fill(200), 201]);
    expect(await published()).toEqual(['first/requested', 'second/requested', 'third/requested']);
    for (const other of others) await other.close();
  });

  it('lets one of different sets have the names, whole', async () => {
    const other = await startGateway({ log: gateway.log });
    const mine = set();
    const theirs = { experiment: 'f', runs: [on('fourth', 'third'), { ...config('third'), steps: 9 }] };
    const answers = await Promise.all([post(mine), post(theirs, other)]);
    expect(answers.map(({ status }) => status).sort()).toEqual([201, 409]);
    const all = (await published()).length;
    expect(all).toBe(answers[0]!.status === 201 ? 3 : 2);
    await other.close();
  });

  it('publishes nothing when the log takes no transaction, and everything when it is asked again', async () => {
    let isFull = true;
    const wrap = (log: EventLog): EventLog => ({
      ...log,
      transactional: async (id) => {
        const writer = await log.transactional(id);
        const transact: typeof writer.transact = (work) =>
          isFull
            ? Promise.reject(Object.assign(new Error('disk full'), { code: 'ENOSPC' }))
            : writer.transact(work);
        return { transact, close: () => writer.close() };
      },
    });
    const other = await startGateway({ log: gateway.log, wrap });
    await expectProblem(await post(set(), other), 503, 'ENOSPC');
    expect(await published()).toEqual([]);
    isFull = false;
    expect((await post(set(), other)).status).toBe(201);
    expect(await published()).toHaveLength(3);
    await other.close();
  });
});

describe('an experiment', () => {
  it('is told by its runs', async () => {
    await post(set());
    const expectStatus = (events: readonly NewEvent[], status: string) =>
      tell(events, (experiment) => expect(experiment.status).toBe(status));
    await expectStatus([facts.started('first')], 'running');
    await expectStatus([{ type: 'run.paused', id: 'p', data: { run: 'first' } }], 'paused');
    await expectStatus([{ type: 'run.resumed', id: 'q', data: { run: 'first' } }], 'running');
    await tell([facts.completed('first')], ({ runs }) => expect(runs[1]!.waitsFor).toBeUndefined());
    expect((await show()).status).toBe('running');
    now += 5000;
    await expectStatus([facts.started('second'), facts.failed('second'), facts.failed('third')], 'failed');
    expect((await show()).endedAt).toBe('2026-03-02T09:00:05.000Z');
  });

  it('is cancelled with all of its runs that have not ended, as often as asked', async () => {
    await post(set());
    await tell([facts.started('first'), facts.completed('first')], ({ runs }) =>
      expect(runs[0]!.status).toBe('completed'),
    );
    const cancel = () => gateway.post('/v1/experiments/e/cancel', { reason: 'enough' });
    const answer = await cancel();
    expect(answer.status).toBe(202);
    expect(statuses((await answer.json()) as Experiment)).toEqual(['completed', 'cancelled', 'cancelled']);
    expect((await cancel()).status).toBe(202);
    expect((await show()).status).toBe('cancelled');
    const run = (await (await gateway.get('/v1/runs/third')).json()) as Run;
    expect(run.cause?.message).toBe('enough');
    expect((await published()).filter((id) => id.endsWith('/cancelled'))).toHaveLength(2);
    // The same request goes on with those that were never started.
    expect(statuses((await (await post(set())).json()) as Experiment)).toEqual([
      'completed',
      'requested',
      'requested',
    ]);
  });

  it('that has ended by itself is not cancelled', async () => {
    await post({ experiment: 'e', runs: [config('first')] });
    await tell([facts.started('first'), facts.completed('first')], ({ status }) =>
      expect(status).toBe('completed'),
    );
    await expectProblem(await gateway.post('/v1/experiments/e/cancel'), 409, 'EXPERIMENT_ENDED');
  });

  it('nobody requested is not found, and a name that is none is a mistake', async () => {
    await expectProblem(await gateway.get('/v1/experiments/none'), 404, 'EXPERIMENT_NOT_FOUND');
    await expectProblem(await gateway.post('/v1/experiments/none/cancel'), 404, 'EXPERIMENT_NOT_FOUND');
    await expectProblem(await gateway.get('/v1/experiments/No'), 400, 'INVALID_REQUEST');
  });
});

describe('GET /v1/experiments and GET /v1/runs', () => {
  beforeEach(async () => {
    for (const [experiment, tags] of [
      ['a', { study: 'kl', seed: '1' }],
      ['b', { study: 'kl', seed: '2' }],
      ['c', {}],
    ] as const) {
      now += 1000;
      await post({
        experiment,
        tags,
        runs: [config(`${experiment}-1`), on(`${experiment}-2`, `${experiment}-1`)],
      });
    }
    await gateway.post('/v1/runs', config('alone'));
  });

  const experiments = async (query = '') => {
    const page = (await (await gateway.get(`/v1/experiments${query}`)).json()) as {
      experiments: ExperimentSummary[];
      nextCursor: string | null;
    };
    return { names: page.experiments.map(({ experiment }) => experiment), ...page };
  };
  const runs = async (query: string) =>
    ((await (await gateway.get(`/v1/runs${query}`)).json()) as { runs: RunSummary[] }).runs
      .map(({ run }) => run)
      .sort();

  it('lists them, the newest first, a page at a time', async () => {
    const all = await experiments();
    expect(all.names).toEqual(['c', 'b', 'a']);
    expect(all.experiments[0]!.runs).toEqual({ total: 2, ended: 0, completed: 0 });
    const first = await experiments('?limit=2');
    expect(first.names).toEqual(['c', 'b']);
    const second = await experiments(`?limit=2&cursor=${first.nextCursor}`);
    expect(second).toMatchObject({ names: ['a'], nextCursor: null });
  });

  it('finds them by tags', async () => {
    expect((await experiments('?tag=study:kl')).names).toEqual(['b', 'a']);
    expect((await experiments('?tag=study:kl&tag=seed:1')).names).toEqual(['a']);
    expect((await experiments('?tag=study:')).names).toEqual([]);
    expect((await experiments('?tag=constructor:x')).names).toEqual([]);
    await expectProblem(await gateway.get('/v1/experiments?tag=study'), 400, 'INVALID_REQUEST');
  });

  it('finds runs by their experiment and their tags', async () => {
    expect(await runs('?experiment=b')).toEqual(['b-1', 'b-2']);
    expect(await runs('?tag=seed:1')).toEqual(['a-1', 'a-2']);
    expect(await runs('?tag=seed:1&experiment=b')).toEqual([]);
    expect(await runs('')).toHaveLength(7);
    await expectProblem(await gateway.get('/v1/runs?experiment=B'), 400, 'INVALID_REQUEST');
  });
});
