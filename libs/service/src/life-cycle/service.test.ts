import { mkdtemp, rm } from 'node:fs/promises';
import { createConnection } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { filesystemArtifacts } from '@rlhf-streams/artifacts';
import { topicSpecs } from '@rlhf-streams/bus';
import { type EventLog, memoryLog } from '@rlhf-streams/log';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { z } from 'zod';
import { createHttp } from '../http/openapi.js';
import { createOperations } from '../http/operations.js';
import { createLogger } from '../telemetry/logger.js';
import { noTelemetry } from '../telemetry/port.js';
import { createTelemetry } from '../telemetry/sdk.js';
import type { ServiceState } from './life-cycle.js';
import {
  defineService,
  type RunningService,
  type ServiceContext,
  type StartOptions,
  startService,
} from './service.js';

const settings = z.object({ GREETING: z.string().default('hello').describe('what it says') });
type Context = ServiceContext<z.output<typeof settings>>;

let folder: string;
let log: EventLog;
const running: RunningService[] = [];
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'service-'));
  log = memoryLog();
  await log.ensureTopics(topicSpecs);
});
afterEach(async () => {
  for (const service of running.splice(0)) await service.stop().catch(() => {});
  await log.close();
  await rm(folder, { recursive: true, force: true });
});

async function start(
  begin: (context: Context) => void | Promise<void>,
  options: Partial<StartOptions> = {},
): Promise<RunningService> {
  const service = await startService(defineService({ name: 'greeter', settings, start: begin }), {
    log,
    artifacts: filesystemArtifacts({ directory: folder }),
    environment: {},
    port: 0,
    logger: createLogger({ level: 'silent' }),
    ...options,
  });
  running.push(service);
  return service;
}

const never = () => new Promise<never>(() => {});

describe('a service', () => {
  it('starts with its settings and answers over HTTP', async () => {
    const service = await start(
      ({ http, settings: { GREETING } }) => void http.get('/', (c) => c.text(GREETING)),
      {
        environment: { GREETING: 'hi' },
      },
    );
    expect(service.state).toBe('ready');
    expect(await (await fetch(service.url)).text()).toBe('hi');
    expect((await fetch(`${service.url}/nowhere`)).headers.get('content-type')).toBe(
      'application/problem+json',
    );
    expect(await (await fetch(`${service.url}/healthz`)).json()).toEqual({
      service: 'greeter',
      state: 'ready',
    });
    await service.stop();
    expect(await service.ended).toEqual({ state: 'stopped' });
    expect(service.state).toBe('stopped');
    await expect(fetch(service.url)).rejects.toThrow();
  });

  it('limits bodies over a socket, declared or streamed', async () => {
    const service = await start(
      ({ http }) => void http.post('/', async (c) => c.json((await c.req.text()).length)),
      {
        environment: { HTTP_BODY_LIMIT_BYTES: '1000' },
      },
    );
    const post = (body: RequestInit['body']) =>
      fetch(service.url, { method: 'POST', body: body!, duplex: 'half' } as RequestInit);
    const streamed = () => new Blob(['x'.repeat(600), 'x'.repeat(600)]).stream();
    expect(await (await post('x'.repeat(1000))).json()).toBe(1000);
    expect((await post('x'.repeat(1001))).status).toBe(413);
    expect(await (await post(streamed())).json()).toMatchObject({ code: 'BODY_TOO_LARGE' });
  });

  it('is ready only while every check says so', async () => {
    let model: true | string = 'still loading';
    const service = await start(({ readiness }) => {
      readiness.check('model', () => model);
      readiness.check('disk', () => {
        if (model !== true) throw new Error('full');
        return true;
      });
    });
    const answer = await fetch(`${service.url}/readyz`);
    expect(answer.status).toBe(503);
    expect(await answer.json()).toEqual({
      service: 'greeter',
      ready: false,
      failing: { model: 'still loading', disk: 'full' },
    });
    model = true;
    expect((await fetch(`${service.url}/readyz`)).status).toBe(200);
  });

  it('tells its metrics, with and without an SDK', async () => {
    const plain = await start(() => {});
    expect(await (await plain.request('/metrics')).text()).toMatch(/^#/);
    const begin = ({ http, meter }: Context) => {
      const greetings = meter.createCounter('greetings_total');
      http.get('/greet/:whom', (c) => {
        greetings.add(1);
        return c.text('hello');
      });
    };
    const measured = await start(begin, { telemetry: createTelemetry({ service: 'greeter' }) });
    await measured.request('/greet/you');
    const metrics = await measured.request('/metrics');
    expect(metrics.headers.get('content-type')).toMatch('text/plain; version=0.0.4');
    const text = await metrics.text();
    expect(text).toContain('greetings_total 1');
    expect(text).toContain(
      'http_request_duration_seconds_count{method="GET",route="/greet/:whom",status="200"} 1',
    );
  });

  it('publishes in the trace of the request', async () => {
    const service = await start(
      ({ http, events }) => {
        http.post('/pause', async (c) => {
          await events.publish([{ type: 'run.paused', data: { run: 'r' }, id: '1' }]);
          return c.body(null, 202);
        });
      },
      { telemetry: createTelemetry({ service: 'greeter' }) },
    );
    const traceId = '0af7651916cd43dd8448eb211c80319c';
    const headers = { traceparent: `00-${traceId}-b7ad6b7169203331-01` };
    expect((await fetch(`${service.url}/pause`, { method: 'POST', headers })).status).toBe(202);
    for await (const { records } of log.read({ topics: ['runs'], follow: false })) {
      expect(records[0]!.headers.traceparent).toContain(traceId);
    }
    expect.assertions(2);
  });

  it('refuses wrong settings, all at once, before it does anything', async () => {
    const begin = vi.fn();
    const start = startService(
      defineService({
        name: 'strict',
        settings: z.object({ N: z.coerce.number().describe('n') }),
        start: begin,
      }),
      {
        log,
        artifacts: filesystemArtifacts({ directory: folder }),
        environment: { N: 'x', PORT: 'y' },
      },
    );
    await expect(start).rejects.toMatchObject({
      code: 'RUNTIME_SETTINGS',
      message: expect.stringMatching(/N: .*"x"[\s\S]*PORT: .*"y"/),
    });
    expect(begin).not.toHaveBeenCalled();
  });

  it('says that its port is taken', async () => {
    const { port } = await start(() => {});
    await expect(start(() => {}, { port })).rejects.toMatchObject({
      code: 'RUNTIME_LISTEN',
      message: expect.stringContaining(`${port}`),
    });
  });
});

describe('failure', () => {
  it('of start closes what was opened', async () => {
    const closed: string[] = [];
    let http = '';
    const begin = ({ onStop, signal }: Context) => {
      onStop(() => void closed.push('first'));
      onStop(() => void closed.push('second'));
      signal.addEventListener('abort', () => closed.push('signal'));
      http = 'opened';
      throw new Error('no model');
    };
    await expect(start(begin)).rejects.toThrow('no model');
    expect(http).toBe('opened');
    expect(closed).toEqual(['signal', 'second', 'first']);
  });

  it('of start that takes too long', async () => {
    const late: string[] = [];
    let goOn = () => {};
    const opened = new Promise<void>((resolve) => {
      goOn = resolve;
    });
    const begin = async ({ onStop }: Context) => {
      await opened;
      onStop(() => void late.push('closed'));
    };
    await expect(start(begin, { environment: { START_TIMEOUT_MS: '5' } })).rejects.toMatchObject({
      code: 'RUNTIME_DEADLINE',
    });
    goOn();
    await vi.waitFor(() => expect(late).toEqual(['closed']), { timeout: 20_000 });
  });

  it('while it runs stops the service', async () => {
    let fail = (_: unknown) => {};
    const service = await start((context) => {
      fail = context.fail;
    });
    const error = new Error('thread died');
    fail(error);
    expect(await service.ended).toEqual({ state: 'failed', error });
    expect(service.state).toBe('failed');
    await service.stop();
  });

  it('of a projection stops the service', async () => {
    const service = await start(async ({ project, events }) => {
      const broken = project<'runs', string>({
        topics: ['runs'],
        apply: () => {
          throw new Error('cannot apply');
        },
      });
      await broken.caughtUp;
      await events.publish([{ type: 'run.paused', data: { run: 'r' }, id: '1' }]);
    });
    expect(await service.ended).toMatchObject({ state: 'failed', error: { code: 'RUNTIME_PROJECTION' } });
  });
});

describe('stop', () => {
  it('goes in order: readiness, signal, consumers, hooks from the last, streams', async () => {
    const order: string[] = [];
    let handling = () => {};
    const handled = new Promise<void>((resolve) => {
      handling = resolve;
    });
    const service = await start(async ({ signal, events, onStop, http, streams }) => {
      signal.addEventListener('abort', () => order.push('signal'));
      onStop(async () => {
        const ready = await service.request('/readyz');
        order.push(`first hook, ready: ${ready.ok}`);
      });
      onStop(() => void order.push('second hook'));
      http.get('/stream', (c) =>
        streams.sse(c, async (stream, ending) => {
          await stream.writeSSE({ data: 'hello' });
          await new Promise<void>((resolve) => {
            ending.addEventListener('abort', () => {
              order.push('stream');
              resolve();
            });
          });
        }),
      );
      await events.consume({
        group: 'g',
        topics: ['runs'],
        handle: async (_, { signal: interrupted }) => {
          handling();
          await new Promise<void>((resolve) => {
            interrupted.addEventListener('abort', () => {
              order.push('consumer');
              resolve();
            });
          });
        },
      });
      await events.publish([{ type: 'run.paused', data: { run: 'r' }, id: '1' }]);
    });
    await handled;
    const reader = (await fetch(`${service.url}/stream`)).body!.getReader();
    expect(Buffer.from((await reader.read()).value!).toString()).toBe('data: hello\n\n');

    await Promise.all([service.stop(), service.stop()]);

    expect(order).toEqual(['signal', 'consumer', 'second hook', 'first hook, ready: false', 'stream']);
    expect((await reader.read()).done).toBe(true);
    expect(service.state).toBe('stopped');
    expect((await service.request('/')).status).toBe(503);
  });

  it('ends streams whose clients left', async () => {
    let open = () => 0;
    const service = await start(({ http, streams }) => {
      open = () => streams.size;
      http.get('/stream', (c) =>
        streams.sse(c, async (stream, signal) => {
          await stream.writeSSE({ data: 'hello' });
          await new Promise<void>((resolve) => {
            signal.addEventListener('abort', () => resolve());
          });
        }),
      );
    });
    const client = new AbortController();
    const response = await fetch(`${service.url}/stream`, { signal: client.signal });
    await response.body!.getReader().read();
    expect(open()).toBe(1);
    client.abort();
    await vi.waitFor(() => expect(open()).toBe(0), { timeout: 20_000 });
  });

  it('lets a request under way finish, and does not wait for idle connections', async () => {
    let begun = () => {};
    const underway = new Promise<void>((resolve) => {
      begun = resolve;
    });
    let finish = () => {};
    const service = await start(({ http, onStop }) => {
      http.get('/slow', async (c) => {
        begun();
        await new Promise<void>((resolve) => {
          finish = resolve;
        });
        return c.text('done');
      });
      onStop(() => finish());
    });
    const idle = createConnection(service.port, '127.0.0.1');
    const request = fetch(`${service.url}/slow`);
    await underway;
    await service.stop();
    expect(await (await request).text()).toBe('done');
    idle.destroy();
  });

  it('is limited, and names what did not end', async () => {
    const other = vi.fn();
    let begun = () => {};
    const underway = new Promise<void>((resolve) => {
      begun = resolve;
    });
    const service = await start(
      ({ onStop, http }) => {
        onStop(other);
        onStop(never, 'the worker threads');
        http.get('/hang', () => {
          begun();
          return never();
        });
      },
      { stopTimeoutMs: 200 },
    );
    const request = fetch(`${service.url}/hang`).catch((error: unknown) => error);
    await underway;
    const error = { code: 'RUNTIME_STOP_TIMEOUT', message: expect.stringContaining('the worker threads') };
    await expect(service.stop()).rejects.toMatchObject(error);
    expect(other).toHaveBeenCalledOnce();
    expect(await service.ended).toMatchObject({ state: 'failed', error });
    expect(await request).toBeInstanceOf(TypeError);
  });
});

describe('before it is ready', () => {
  it('is alive, says why it is not ready, and refuses other requests', async () => {
    let state: ServiceState = 'starting';
    const app = createHttp();
    const logger = createLogger({ level: 'silent' });
    const { outer } = createOperations({
      name: 'greeter',
      app,
      telemetry: noTelemetry,
      logger,
      state: () => state,
    });
    expect((await outer.request('/healthz')).status).toBe(200);
    const ready = await outer.request('/readyz');
    expect(ready.status).toBe(503);
    expect(await ready.json()).toMatchObject({ failing: { service: 'starting' } });
    const refused = await outer.request('/runs');
    expect(refused.headers.get('retry-after')).toBe('1');
    expect(await refused.json()).toMatchObject({ code: 'SERVICE_NOT_READY', status: 503 });
    app.get('/runs', (c) => c.text('routes come late'));
    state = 'ready';
    expect(await (await outer.request('/runs')).text()).toBe('routes come late');
  });
});
