import type { NewEvent } from '@rlhf-streams/bus';
import type { EventLog } from '@rlhf-streams/log';
import { runConfigMistakes } from '@rlhf-streams/runs';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { config, expectProblem, facts, startGateway, type TestGateway } from '../gateway.test.support.js';
import type { Run, RunSummary } from './view.js';

let gateway: TestGateway;
let now = 0;
beforeEach(async () => {
  now = Date.parse('2026-03-02T09:00:00Z');
  gateway = await startGateway({ now: () => now });
});
afterEach(() => gateway.close());

const show = async (run: string): Promise<Run> =>
  (await gateway.get(`/v1/runs/${run}`)).json() as Promise<Run>;

/** Publishes, and waits until the gateway shows it. */
async function tell(run: string, events: readonly NewEvent[], shown: Record<string, unknown>): Promise<Run> {
  await gateway.events.publish(events);
  return vi.waitFor(
    async () => {
      const view = await show(run);
      expect(view).toMatchObject(shown);
      return view;
    },
    { timeout: 20_000, interval: 2 },
  );
}

async function requests(run: string): Promise<string[]> {
  const ids: string[] = [];
  for await (const event of gateway.events.readAll(['runs'])) if (event.data.run === run) ids.push(event.id);
  return ids;
}

describe('POST /v1/runs', () => {
  it('publishes the request, and answers with the run and its place', async () => {
    const response = await gateway.post('/v1/runs', config('r1'));
    expect(response.status).toBe(201);
    expect(response.headers.get('location')).toBe('/v1/runs/r1');
    const run = (await response.json()) as Run;
    expect(run).toMatchObject({
      run: 'r1',
      method: 'sft',
      status: 'requested',
      steps: { done: 0, total: 4 },
    });
    expect(run.requestedAt).toBe('2026-03-02T09:00:00.000Z');
    expect(run.config).toMatchObject({
      ...config('r1'),
      model: { layers: 4 },
      optimizer: { schedule: 'linear' },
    });
    expect(await show('r1')).toEqual(run);
    expect(await requests('r1')).toEqual(['r1/requested']);
  });

  it('takes the same request again as the same run, whether defaults are spelled out or not', async () => {
    const created = await (await gateway.post('/v1/runs', config('r1'))).json();
    const again = await gateway.post('/v1/runs', { seed: 0, ...config('r1') });
    expect(again.status).toBe(200);
    expect(await again.json()).toEqual(created);
    expect(await requests('r1')).toHaveLength(1);
  });

  it('takes numbers that JSON writes otherwise', async () => {
    const body = JSON.stringify({ ...config('r1'), method: 'sft' }).replace('{', '{"seed":-0,');
    expect((await gateway.post('/v1/runs', body)).status).toBe(201);
    expect((await gateway.post('/v1/runs', body)).status).toBe(200);
  });

  it('takes a run that ended before it was started as a new one, otherwise configured too', async () => {
    await gateway.post('/v1/runs', config('r1'));
    await gateway.events.publish([facts.failed('r1')]);
    await vi.waitFor(async () => expect((await show('r1')).status).toBe('failed'));
    const again = await gateway.post('/v1/runs', { ...config('r1'), steps: 9 });
    expect(again.status).toBe(201);
    expect(await again.json()).toMatchObject({ status: 'requested', steps: { total: 9 } });
    expect((await gateway.post('/v1/runs', { ...config('r1'), steps: 9 })).status).toBe(200);
    await gateway.events.publish([facts.started('r1'), facts.failed('r1')]);
    await vi.waitFor(async () => expect((await show('r1')).status).toBe('failed'));
    await expectProblem(await gateway.post('/v1/runs', config('r1')), 409, 'RUN_EXISTS');
  });

  it('refuses another configuration under the same id', async () => {
    await gateway.post('/v1/runs', config('r1'));
    const other = { ...config('r1'), steps: 5, optimizer: { beta1: 0.5 } };
    const { detail, errors } = await expectProblem(await gateway.post('/v1/runs', other), 409, 'RUN_EXISTS');
    expect(detail).toContain('which differs in steps, optimizer.beta1: ');
    expect(errors).toEqual([
      { path: 'steps', message: 'expected 4, as the run has it, got 5', code: 'differs' },
      { path: 'optimizer.beta1', message: 'expected 0.9, as the run has it, got 0.5', code: 'differs' },
    ]);
    expect((await show('r1')).config?.steps).toBe(4);
  });

  it('lets one of two different requests at the same time have the id', async () => {
    const bodies = [4, 5].map((steps) => ({ ...config('r1'), steps }));
    const answers = await Promise.all(bodies.map((body) => gateway.post('/v1/runs', body)));
    expect(answers.map(({ status }) => status).sort()).toEqual([201, 409]);
    const won = answers.findIndex(({ status }) => status === 201);
    expect((await show('r1')).config?.steps).toBe(bodies[won]!.steps);
  });

  it('makes a run once, however many ask for it at once', async () => {
    const answers = await Promise.all(
      Array.from({ length: 100 }, () => gateway.post('/v1/runs', config('r1'))),
    );
    const statuses = answers.map(({ status }) => status).sort();
    expect(statuses).toEqual([...Array(99).fill(200), 201]);
    expect(await requests('r1')).toEqual(['r1/requested']);
    await Promise.all(Array.from({ length: 20 }, () => gateway.post('/v1/runs/r1/cancel')));
    expect(await requests('r1')).toEqual(['r1/requested', 'r1/cancelled']);
  });

  it('makes a run once, however many gateways are asked for it at once', async () => {
    // Neither gateway hears of anything until both have published.
    let published = 0;
    let goOn = () => {};
    const both = new Promise<void>((resolve) => {
      goOn = resolve;
    });
    const wrap = (log: EventLog): EventLog => ({
      ...log,
      publish: async (records) => {
        await log.publish(records);
        if (++published === 2) goOn();
        await both;
      },
    });
    const gateways = [
      await startGateway({ log: gateway.log, wrap }),
      await startGateway({ log: gateway.log, wrap }),
    ];
    const answers = await Promise.all(gateways.map(({ post }) => post('/v1/runs', config('r1'))));
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 201]);
    expect(await requests('r1')).toEqual(['r1/requested', 'r1/requested']);
    for (const each of gateways) await each.close();
  });

  it('names every mistake by its path', async () => {
    const body = { ...config('Not An Id'), steps: 0, optimizer: { beta1: 2 }, betas: 1 };
    const problem = await expectProblem(await gateway.post('/v1/runs', body), 400, 'INVALID_REQUEST');
    expect(problem.errors?.map(({ path }) => path).sort()).toEqual([
      'betas',
      'optimizer.beta1',
      'run',
      'steps',
    ]);
    const method = await gateway.post('/v1/runs', { ...config('r1'), method: 'no-method' });
    expect((await expectProblem(method, 400, 'INVALID_REQUEST')).errors).toMatchObject([{ path: 'method' }]);
    expect(await requests('r1')).toEqual([]);
  });

  it('says of every mistake what parseRunConfig says', async () => {
    const body = { ...config('r1'), steps: '5', optimizer: { learning_rate: 1 } };
    const problem = await expectProblem(await gateway.post('/v1/runs', body), 400, 'INVALID_REQUEST');
    expect(problem.errors).toEqual([
      { path: 'steps', message: "expected integer from 1 to 1000000, got '5'", code: 'invalid_type' },
      {
        path: 'optimizer.learning_rate',
        message: 'no such setting; did you mean learningRate?',
        code: 'unrecognized_keys',
      },
    ]);
    expect(problem.errors).toEqual(
      runConfigMistakes(body).map((mistake) => ({ ...mistake, path: mistake.path.join('.') })),
    );
  });

  it('refuses a run that builds on itself, and requests nothing', async () => {
    const body = { ...config('r1'), model: 'run:r1' };
    const problem = await expectProblem(await gateway.post('/v1/runs', body), 400, 'INVALID_REQUEST');
    expect(problem.errors).toMatchObject([{ path: 'model' }]);
    expect(await requests('r1')).toEqual([]);
  });

  it.each([
    ['no JSON', '{"run": ', { 'content-type': 'application/json' }, 400, 'MALFORMED_JSON'],
    ['another media type', 'run: r1', { 'content-type': 'application/yaml' }, 415, 'UNSUPPORTED_MEDIA_TYPE'],
    [
      'a configuration that is too large',
      JSON.stringify({ ...config('r1'), data: 'x'.repeat(300_000) }),
      { 'content-type': 'application/json' },
      413,
      'CONFIG_TOO_LARGE',
    ],
  ])('refuses %s', async (_, body, headers, status, code) => {
    await expectProblem(await gateway.post('/v1/runs', body, headers), status, code);
  });

  it('says which media type it expects, also of a request without a body', async () => {
    const answer = await gateway.post('/v1/runs');
    const { detail } = await expectProblem(answer, 415, 'UNSUPPORTED_MEDIA_TYPE');
    expect(detail).toBe('expected content-type application/json, got none');
  });
});

describe('GET /v1/runs/{run}', () => {
  it('shows which version each policy replica samples from', async () => {
    await gateway.events.publish([facts.requested('r1')]);
    const cause = { code: 'ARTIFACT_TIMEOUT', message: 'too slow' };
    const applied = (replica: string, version: number): NewEvent => ({
      type: 'replica.applied',
      id: `${replica}/${version}`,
      data: { replica, run: 'r1', version, fetchMs: 12 },
    });
    const behind: NewEvent = {
      type: 'replica.behind',
      id: 'a/behind',
      data: { replica: 'a', run: 'r1', version: 2, applied: 1, cause },
    };
    const time = '2026-03-02T09:00:00.000Z';
    await tell('r1', [applied('b', 1), applied('b', 2), applied('a', 1), behind], {
      replicas: [
        { replica: 'a', applied: 1, behind: { version: 2, cause }, time },
        { replica: 'b', applied: 2, time },
      ],
    });
    const { replicas } = await tell('r1', [applied('a', 2)], { replicas: [{ applied: 2 }, { applied: 2 }] });
    expect(replicas![0]).toEqual({ replica: 'a', applied: 2, time });
  });

  it('shows how far the run has come', async () => {
    await gateway.events.publish([facts.requested('r1')]);
    const steps = [facts.step('r1', 0), facts.step('r1', 1)];
    const view = await tell('r1', [facts.started('r1', 8), ...steps, facts.published('r1', 2)], {
      status: 'running',
      steps: { done: 2, total: 5 },
      policyVersion: 2,
    });
    expect(view.policy).toMatchObject({ version: 2, step: 2, artifact: { uri: 'artifact:policy' } });
    expect(view.metrics).toMatchObject({ step: 1, split: 'train', metrics: { loss: 0.5 } });
    expect(view.artifacts).toHaveProperty('policy');
    expect(view.data).toEqual({ read: 9, used: 8, cut: 1, dropped: { 'empty text': 1 } });
  });

  it('shows what the run waits for until that step is done', async () => {
    await gateway.events.publish([facts.requested('r1'), facts.started('r1')]);
    const waiting = { step: 1, waitingFor: { rewards: 3 }, sinceMs: 1000, deadlineMs: 9000 };
    await tell('r1', [facts.step('r1', 0), facts.waiting('r1', 1)], { steps: { done: 1 }, waiting });
    expect(await tell('r1', [facts.step('r1', 1)], { steps: { done: 2 } })).not.toHaveProperty('waiting');
  });

  it('shows what its metrics warn of', async () => {
    const warning = {
      step: 0,
      metric: 'objective/kl',
      direction: 'above' as const,
      value: 30,
      threshold: 25,
      message: 'far',
    };
    const event: NewEvent = { type: 'run.warning', id: 'r1/warning', data: { run: 'r1', ...warning } };
    await gateway.events.publish([facts.requested('r1'), facts.started('r1')]);
    const view = await tell('r1', [event, facts.step('r1', 0)], { warnings: [warning] });
    expect(view.status).toBe('running');
  });

  it('shows how it ended', async () => {
    now += 1000;
    await gateway.events.publish([facts.requested('r1'), facts.waiting('r1', 0)]);
    const failed = await tell('r1', [facts.failed('r1')], { status: 'failed' });
    expect(failed.cause).toEqual({ code: 'RUN_STALLED', message: 'no rewards came' });
    expect(failed.endedAt).toBe('2026-03-02T09:00:01.000Z');
    expect(failed).not.toHaveProperty('waiting');
  });

  it('shows a request without a valid configuration', async () => {
    const request: NewEvent = {
      type: 'run.requested',
      data: { run: 'r1', config: { method: 'x' } },
      id: 'r1',
    };
    const view = await tell('r1', [request], { status: 'requested' });
    expect(view.cause?.code).toBe('TRAINING_CONFIG_INVALID');
    expect(view).not.toHaveProperty('config');
  });

  it.each(['', '/metrics', '/events'])('of an unknown run is a problem: %s', async (path) => {
    await expectProblem(await gateway.get(`/v1/runs/nobody${path}`), 404, 'RUN_NOT_FOUND');
    await expectProblem(await gateway.get(`/v1/runs/No%20Id${path}`), 400, 'INVALID_REQUEST');
  });
});

describe('GET /v1/runs', () => {
  interface Page {
    readonly runs: readonly RunSummary[];
    readonly nextCursor: string | null;
  }
  const page = async (query: string): Promise<Page> =>
    (await gateway.get(`/v1/runs?${query}`)).json() as Promise<Page>;
  const names = ({ runs }: Page) => runs.map(({ run }) => run);

  beforeEach(async () => {
    for (const run of ['a', 'b', 'c', 'd', 'e']) {
      if (run !== 'd') now += 1000;
      await gateway.events.publish([facts.requested(run)]);
    }
    await tell('e', [facts.failed('b')], {});
    await tell('b', [], { status: 'failed' });
  });

  it('has the newest first, page by page, whatever is requested meanwhile', async () => {
    const first = await page('limit=2');
    expect(names(first)).toEqual(['e', 'c']);
    now += 1000;
    await tell('f', [facts.requested('f')], { status: 'requested' });
    const second = await page(`limit=2&cursor=${first.nextCursor}`);
    expect(names(second)).toEqual(['d', 'b']);
    const third = await page(`limit=2&cursor=${second.nextCursor}`);
    expect(third).toMatchObject({ runs: [{ run: 'a' }], nextCursor: null });
    expect(names(await page(''))).toEqual(['f', 'e', 'c', 'd', 'b', 'a']);
  });

  it('has one page where the runs just fit', async () => {
    expect((await page('limit=5')).nextCursor).toBeNull();
  });

  it('filters', async () => {
    expect(names(await page('status=failed'))).toEqual(['b']);
    expect(names(await page('status=requested&method=sft&limit=1'))).toEqual(['e']);
    expect(names(await page('method=ppo'))).toEqual([]);
  });

  it.each(['status=done', 'method=x', 'limit=0', 'limit=501', 'limit=x', 'cursor=e'])(
    'refuses %s',
    async (query) => {
      const problem = await expectProblem(await gateway.get(`/v1/runs?${query}`), 400, 'INVALID_REQUEST');
      expect(problem.errors?.[0]?.path).toBe(query.split('=')[0]);
    },
  );
});

describe('GET /v1/runs/{run}/metrics', () => {
  const metrics = (query = '') => gateway.get(`/v1/runs/r1/metrics${query}`);
  const stepsOf = async (response: Response) =>
    ((await response.json()) as { step: number }[]).map(({ step }) => step);

  beforeEach(async () => {
    await gateway.events.publish([facts.requested('r1')]);
    // After a crash steps come again.
    const steps = [0, 1, 2, 1, 2, 3].map((step) => facts.step('r1', step));
    await tell('r1', steps, { steps: { done: 4 } });
  });

  it('has every step once, from the one asked for', async () => {
    const all = await metrics();
    expect(all.headers.get('link')).toBeNull();
    const recorded = (await all.json()) as unknown[];
    expect(recorded).toHaveLength(4);
    expect(recorded[1]).toEqual({
      step: 1,
      split: 'train',
      policyVersion: 2,
      time: '2026-03-02T09:00:00.000Z',
      metrics: { loss: 0.5 },
    });
    expect(await stepsOf(await metrics('?from=2'))).toEqual([2, 3]);
    expect(await stepsOf(await metrics('?from=9'))).toEqual([]);
  });

  it('links to the rest', async () => {
    const first = await metrics('?from=1&limit=2');
    expect(await stepsOf(first)).toEqual([1, 2]);
    const [, next] = /^<(.*)>; rel="next"$/.exec(first.headers.get('link')!)!;
    const rest = await gateway.get(next!);
    expect(await stepsOf(rest)).toEqual([3]);
    expect(rest.headers.get('link')).toBeNull();
  });

  it('refuses what is no step', async () => {
    await expectProblem(await metrics('?from=-1'), 400, 'INVALID_REQUEST');
  });
});

describe('POST /v1/runs/{run}/cancel', () => {
  beforeEach(() => gateway.post('/v1/runs', config('r1')));

  it('ends the run, once', async () => {
    const response = await gateway.post('/v1/runs/r1/cancel', { reason: 'the KL ran away' });
    expect(response.status).toBe(202);
    const run = (await response.json()) as Run;
    expect(run).toMatchObject({
      status: 'cancelled',
      cause: { code: 'RUN_CANCELLED', message: 'the KL ran away' },
    });
    const again = await gateway.post('/v1/runs/r1/cancel');
    expect(again.status).toBe(202);
    expect(await again.json()).toEqual(run);
    expect(await requests('r1')).toEqual(['r1/requested', 'r1/cancelled']);
  });

  it('needs no reason', async () => {
    const run = (await (await gateway.post('/v1/runs/r1/cancel')).json()) as Run;
    expect(run).toMatchObject({ status: 'cancelled', cause: { message: 'no reason given' } });
  });

  it('comes too late for a run that has ended', async () => {
    await tell('r1', [facts.completed('r1')], { status: 'completed' });
    await expectProblem(await gateway.post('/v1/runs/r1/cancel'), 409, 'RUN_ENDED');
    expect(await requests('r1')).not.toContain('r1/cancelled');
  });

  it('refuses an unknown run, and reasons that are none', async () => {
    await expectProblem(await gateway.post('/v1/runs/r9/cancel'), 404, 'RUN_NOT_FOUND');
    const long = await gateway.post('/v1/runs/r1/cancel', { reason: 'x'.repeat(1001) });
    expect((await expectProblem(long, 400, 'INVALID_REQUEST')).errors).toMatchObject([{ path: 'reason' }]);
    const unknown = await gateway.post('/v1/runs/r1/cancel', { reasons: 'x' });
    expect((await expectProblem(unknown, 400, 'INVALID_REQUEST')).errors).toMatchObject([
      { path: '', message: 'no such key: reasons (did you mean reason?)' },
    ]);
    await expectProblem(await gateway.post('/v1/runs/r1/cancel', '{'), 400, 'MALFORMED_JSON');
    expect((await show('r1')).status).toBe('requested');
  });
});
