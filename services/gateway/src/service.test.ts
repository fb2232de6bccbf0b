import type { EventLog } from '@rlhf-streams/log';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { config, expectProblem, facts, startGateway, type TestGateway } from './gateway.test.support.js';

const open: TestGateway[] = [];
const start = async (...options: Parameters<typeof startGateway>) => {
  const gateway = await startGateway(...options);
  open.push(gateway);
  return gateway;
};
afterEach(async () => {
  for (const gateway of open.splice(0)) await gateway.close();
});

/** A log whose followers get no record after those that were there. */
const deaf = (log: EventLog): EventLog => ({
  ...log,
  read: (options) =>
    options.follow ? log.read({ ...options, topics: ['dead-letters'], from: {} }) : log.read(options),
});

describe('the gateway', () => {
  it('tells where things are', async () => {
    const { get } = await start();
    const index = (await (await get('/')).json()) as { links: Record<string, string> };
    expect(index).toMatchObject({ name: 'rlhf-streams', version: expect.stringMatching(/^\d+\.\d+\.\d+/) });
    for (const link of Object.values(index.links)) expect((await get(link)).status).toBe(200);
  });

  it('is ready only when it knows what the log holds', async () => {
    let goOn = () => {};
    const held = new Promise<void>((resolve) => {
      goOn = resolve;
    });
    const slow = (log: EventLog): EventLog => ({
      ...log,
      read: async function* (options) {
        if (!options.follow) await held;
        yield* log.read(options);
      },
    });
    const ready = vi.fn();
    const starting = start({ wrap: slow }).then((gateway) => {
      ready();
      return gateway;
    });
    await new Promise((resolve) => setImmediate(resolve));
    expect(ready).not.toHaveBeenCalled();
    goOn();
    expect((await (await starting).get('/readyz')).status).toBe(200);
  });

  it('says so when the log does not confirm in time, and the request can be repeated', async () => {
    const { post, get, events } = await start({ wrap: deaf, environment: { RUN_REQUEST_TIMEOUT_MS: '20' } });
    const response = await post('/v1/runs', config('r1'));
    expect(response.headers.get('retry-after')).toBe('1');
    await expectProblem(response, 503, 'RUN_NOT_CONFIRMED');
    await expectProblem(await get('/v1/runs/r1'), 404, 'RUN_NOT_FOUND');
    const types: string[] = [];
    for await (const { type } of events.readAll(['runs'])) types.push(type);
    expect(types).toEqual(['run.requested']);
  });

  it('answers requests under way when it drains', async () => {
    const { service, post } = await start({ wrap: deaf });
    const request = post('/v1/runs', config('r1'));
    await new Promise((resolve) => setImmediate(resolve));
    await service.stop();
    await expectProblem(await request, 503, 'RUN_NOT_CONFIRMED');
  });

  it('knows after a restart what it knew before', async () => {
    const first = await start();
    await first.events.publish([facts.requested('r1'), facts.started('r1'), facts.step('r1', 0)]);
    const second = await start({ log: first.log });
    expect(await (await second.get('/v1/runs/r1')).json()).toMatchObject({
      status: 'running',
      steps: { done: 1 },
    });
  });

  it('refuses other methods', async () => {
    const { service } = await start();
    const response = await service.request('/v1/runs', { method: 'DELETE' });
    expect(response.headers.get('allow')).toMatch(/GET.*POST|POST.*GET/);
    await expectProblem(response, 405, 'METHOD_NOT_ALLOWED');
  });
});

describe('GET /openapi.json', () => {
  interface Operation {
    readonly requestBody?: {
      readonly content: {
        readonly 'application/json': {
          readonly example?: unknown;
          readonly examples: Record<string, { value: unknown }>;
        };
      };
    };
  }
  interface Document {
    readonly openapi: string;
    readonly paths: Record<string, Record<string, Operation>>;
    readonly components: { readonly schemas: Record<string, object> };
  }

  it('describes every route, with examples, and refers to nothing that is not there', async () => {
    const { get } = await start();
    const document = (await (await get('/openapi.json')).json()) as Document;
    expect(document.openapi).toBe('3.1.0');
    const routes = Object.entries(document.paths).flatMap(([path, operations]) =>
      Object.keys(operations).map((method) => `${method} ${path}`),
    );
    expect(routes.sort()).toEqual([
      'get /',
      'get /healthz',
      'get /metrics',
      'get /readyz',
      'get /v1/dead-letters',
      'get /v1/experiments',
      'get /v1/experiments/{experiment}',
      'get /v1/runs',
      'get /v1/runs/{run}',
      'get /v1/runs/{run}/events',
      'get /v1/runs/{run}/metrics',
      'post /v1/experiments',
      'post /v1/experiments/{experiment}/cancel',
      'post /v1/runs',
      'post /v1/runs/{run}/cancel',
      'post /v1/runs/{run}/extend',
    ]);
    const references = JSON.stringify(document).matchAll(/"\$ref":"#\/components\/schemas\/(\w+)"/g);
    for (const [, name] of references) expect(document.components.schemas).toHaveProperty(name!);
    expect(JSON.stringify(document.paths['/v1/runs'])).toContain('"examples"');
  });

  it('has examples that work', async () => {
    const { get, post } = await start();
    const document = (await (await get('/openapi.json')).json()) as Document;
    const { examples } = document.paths['/v1/runs']!.post!.requestBody!.content['application/json'];
    const answers = await Promise.all(Object.values(examples).map(({ value }) => post('/v1/runs', value)));
    expect(answers.map(({ status }) => status)).toEqual([201, 201]);

    const another = await start();
    const experiment = document.paths['/v1/experiments']!.post!.requestBody!.content['application/json'];
    expect((await another.post('/v1/experiments', experiment.example)).status).toBe(201);
  });
});
