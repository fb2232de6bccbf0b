/** What services answer over a socket, where requests are made by Node's parser and not by the Fetch API. */
import { request as httpRequest, type IncomingMessage, type RequestOptions } from 'node:http';
import { connect } from 'node:net';
import { filesystemArtifacts } from '@rlhf-streams/artifacts';
import { memoryLog } from '@rlhf-streams/log';
import fc from 'fast-check';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { z } from 'zod';
import {
  defineService,
  type RunningService,
  type ServiceContext,
  startService,
} from '../life-cycle/service.js';
import { createLogger } from '../telemetry/logger.js';
import { validatedBody } from './validated-body.js';

const WAIT = { timeout: 20_000, interval: 5 };
const logged: string[] = [];
const running: RunningService[] = [];
afterEach(async () => {
  for (const service of running.splice(0)) await service.stop();
  expect(logged.splice(0)).toEqual([]);
});

const runs = ({ http }: ServiceContext) => {
  http.get('/runs', (c) => c.json([]));
  http.post('/runs', validatedBody(z.object({ run: z.string() })), (c) => c.json(c.req.valid('json'), 201));
  http.post('/runs/:run/cancel', async (c) => c.json({ reason: await c.req.text() }, 202));
};

async function start(
  begin: (context: ServiceContext) => void,
  environment: Record<string, string> = {},
): Promise<RunningService> {
  const log = memoryLog();
  const service = await startService(defineService({ name: 'runs', settings: z.object({}), start: begin }), {
    log,
    artifacts: filesystemArtifacts({ directory: '/nowhere' }),
    environment,
    port: 0,
    logger: createLogger({ level: 'warn', write: (line) => void logged.push(line) }),
  });
  running.push(service);
  return service;
}

interface Answer {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

/** A request as it is, without what fetch adds or forbids; `chunks` are sent without a declared length. */
function ask(
  service: RunningService,
  method: string,
  path: string,
  {
    headers = {},
    chunks = [],
  }: { headers?: RequestOptions['headers']; chunks?: readonly (string | Buffer)[] } = {},
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const { port } = service;
    const request = httpRequest({ host: '127.0.0.1', port, method, path, headers }, async (response) => {
      const parts: Buffer[] = [];
      for await (const part of response) parts.push(part as Buffer);
      resolve({
        status: response.statusCode!,
        headers: response.headers,
        body: Buffer.concat(parts).toString(),
      });
    });
    request.on('error', reject);
    for (const chunk of chunks) request.write(chunk);
    request.end();
  });
}

const codeOf = ({ body }: Answer): unknown => JSON.parse(body).code;
const json = { 'content-type': 'application/json' };

describe('a request', () => {
  it('without a body is answered as one with an empty body', async () => {
    const service = await start(runs);
    expect(await ask(service, 'POST', '/runs/r1/cancel')).toMatchObject({
      status: 202,
      body: '{"reason":""}',
    });
    expect((await ask(service, 'POST', '/runs')).status).toBe(415);
    const empty = await ask(service, 'POST', '/runs', { headers: json });
    expect([empty.status, codeOf(empty)]).toEqual([400, 'MALFORMED_JSON']);
  });

  it('may come in chunks, within the limit', async () => {
    const service = await start(runs, { HTTP_BODY_LIMIT_BYTES: '100' });
    const chunks = ['{"run":', '"r1"}'];
    expect(await ask(service, 'POST', '/runs', { headers: json, chunks })).toMatchObject({
      status: 201,
      body: '{"run":"r1"}',
    });
    const long = await ask(service, 'POST', '/runs', {
      headers: json,
      chunks: ['x'.repeat(60), 'x'.repeat(60)],
    });
    expect([long.status, codeOf(long)]).toEqual([413, 'BODY_TOO_LARGE']);
  });

  it('waits for 100 Continue and gets it', async () => {
    const service = await start(runs);
    const body = '{"run":"r1"}';
    const headers = { ...json, expect: '100-continue', 'content-length': body.length };
    const answer = await ask(service, 'POST', '/runs', { headers, chunks: [body] });
    expect(answer).toMatchObject({ status: 201, body });
  });

  it('of OPTIONS is told the methods of a path, those of operators too', async () => {
    const service = await start(runs);
    const allowed = async (path: string) => {
      const { status, headers, body } = await ask(service, 'OPTIONS', path);
      return [status, headers.allow?.split(', ').sort(), body];
    };
    expect(await allowed('/runs')).toEqual([204, ['GET', 'HEAD', 'POST'], '']);
    expect(await allowed('/runs/r1/cancel')).toEqual([204, ['POST'], '']);
    expect(await allowed('/healthz')).toEqual([204, ['GET', 'HEAD'], '']);
    expect((await ask(service, 'OPTIONS', '/nowhere')).status).toBe(404);
    for (const path of ['/runs', '/healthz', '/readyz', '/metrics']) {
      const answer = await ask(service, 'DELETE', path);
      expect([answer.status, codeOf(answer)]).toEqual([405, 'METHOD_NOT_ALLOWED']);
      expect(answer.headers.allow).toContain('GET');
    }
  });

  it('whose text is no UTF-8 is refused', async () => {
    const service = await start(runs);
    const chunks = [Buffer.from('{"run":"'), Buffer.from([0xff, 0xfe]), Buffer.from('"}')];
    const answer = await ask(service, 'POST', '/runs', { headers: json, chunks });
    expect([answer.status, codeOf(answer)]).toEqual([400, 'MALFORMED_JSON']);
  });

  it('that names no path is malformed', async () => {
    const service = await start(runs);
    for (const path of ['*', '/a\\b']) {
      const answer = await ask(service, 'GET', path);
      expect([answer.status, codeOf(answer)]).toEqual([400, 'MALFORMED_REQUEST']);
    }
  });

  it('that breaks off is no failure of the service', async () => {
    const service = await start(runs);
    const upload = connect(service.port, '127.0.0.1');
    upload.write(
      'POST /runs HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 90\r\n\r\n{"run',
      () => upload.destroy(),
    );
    await vi.waitFor(() => expect(upload.destroyed).toBe(true), WAIT);
    expect((await ask(service, 'GET', '/runs')).status).toBe(200);
  });

  it('is never answered with a 5xx, whatever its method, path, type and body', async () => {
    const service = await start(runs);
    const requests = fc.record({
      method: fc.constantFrom(
        'GET',
        'HEAD',
        'POST',
        'PUT',
        'PATCH',
        'DELETE',
        'OPTIONS',
        'TRACE',
        'PROPFIND',
      ),
      path: fc.oneof(
        fc.constantFrom(
          '/',
          '/runs',
          '/runs/',
          '/runs//cancel',
          '/runs/%zz/cancel',
          '/runs/%ff/cancel',
          '/healthz',
        ),
        fc.webPath().map((path) => `/runs${path}`),
      ),
      query: fc.oneof(
        fc.constant(''),
        fc.webQueryParameters().map((query) => `?${query}`),
        fc.constant('?a=1&a=%'),
      ),
      type: fc.constantFrom(
        undefined,
        'application/json',
        'text/plain',
        'application/json; charset=utf-16',
        ';',
      ),
      chunks: fc.array(
        fc.oneof(fc.json(), fc.string()).filter((chunk) => chunk !== ''),
        { maxLength: 2 },
      ),
      declared: fc.boolean(),
    });
    await fc.assert(
      fc.asyncProperty(requests, async ({ method, path, query, type, chunks, declared }) => {
        const length = Buffer.byteLength(chunks.join(''));
        const headers = {
          ...(type !== undefined && { 'content-type': type }),
          ...(declared
            ? { 'content-length': length }
            : chunks.length > 0 && { 'transfer-encoding': 'chunked' }),
        };
        const { status } = await ask(service, method, `${path}${query}`, { headers, chunks });
        expect(status).toBeLessThan(500);
      }),
      { numRuns: 300 },
    );
  });
});

describe('a service at a loopback address', () => {
  it('answers to names of this machine only', async () => {
    const service = await start(runs);
    const statusFor = async (host: string) =>
      (await ask(service, 'GET', '/runs', { headers: { host } })).status;
    for (const host of [
      'localhost',
      'LocalHost:80',
      'a.localhost:9',
      '127.0.0.1:1',
      '127.9.9.9',
      '[::1]:8080',
    ])
      expect(await statusFor(host)).toBe(200);
    for (const host of [
      'evil.example',
      'evil.example:8080',
      'localhost.evil.example',
      '10.0.0.1',
      '127.0.0.1.nip.io',
    ])
      expect(await statusFor(host)).toBe(403);
    const refused = await ask(service, 'GET', '/healthz', { headers: { host: 'evil.example' } });
    expect([refused.status, codeOf(refused)]).toEqual([403, 'HOST_NOT_ALLOWED']);
    expect(refused.headers['content-type']).toBe('application/problem+json');
    expect((await ask(service, 'GET', 'http://evil.example/runs')).status).toBe(403);
  });

  it("lets no other host's page change anything", async () => {
    const service = await start(runs);
    const cancel = (origin: string) => ask(service, 'POST', '/runs/r1/cancel', { headers: { origin } });
    expect((await cancel('http://localhost:3000')).status).toBe(202);
    for (const origin of ['https://evil.example', 'null'])
      expect(codeOf(await cancel(origin))).toBe('ORIGIN_NOT_ALLOWED');
    expect((await ask(service, 'GET', '/runs', { headers: { origin: 'https://evil.example' } })).status).toBe(
      200,
    );
  });

  it('answers to the names it is told, and at other addresses to any unless it is told some', async () => {
    const named = await start(runs, { HTTP_ALLOWED_HOSTS: 'rlhf.example, other.example' });
    const statusFor = async (service: RunningService, host: string) =>
      (await ask(service, 'GET', '/runs', { headers: { host } })).status;
    expect(await statusFor(named, 'rlhf.example')).toBe(200);
    expect(await statusFor(named, 'OTHER.example:443')).toBe(200);
    expect(await statusFor(named, 'evil.example')).toBe(403);
    expect(await statusFor(await start(runs, { HOST: '0.0.0.0' }), 'gateway:8080')).toBe(200);
    const open = await start(runs, { HOST: '0.0.0.0', HTTP_ALLOWED_HOSTS: 'gateway' });
    expect(await statusFor(open, 'gateway:8080')).toBe(200);
    expect(await statusFor(open, 'localhost')).toBe(200);
    expect(await statusFor(open, 'evil.example')).toBe(403);
  });
});

describe('a client that reads no more', () => {
  it.each(['/stream', '/whole'])('is cut off: %s', async (path) => {
    const cut = vi.fn();
    const text = 'x'.repeat(1 << 20);
    const service = await start(
      ({ http, streams }) => {
        http.use(async (c, next) => {
          (c.env as { outgoing: NodeJS.EventEmitter }).outgoing.once('close', cut);
          await next();
        });
        http.get('/whole', (c) => c.body(text.repeat(64)));
        http.get('/stream', (c) =>
          streams.sse(c, async (stream, signal) => {
            while (!signal.aborted) await stream.writeSSE({ data: text });
          }),
        );
      },
      { HTTP_STALLED_CLIENT_MS: '50' },
    );
    const client = connect(service.port, '127.0.0.1').pause();
    client.write(`GET ${path} HTTP/1.1\r\nhost: localhost\r\n\r\n`);
    await vi.waitFor(() => expect(cut).toHaveBeenCalled(), WAIT);
    client.destroy();
  });

  it('is not one that waits for a slow answer', async () => {
    const service = await start(
      ({ http }) => {
        http.get('/slow', async (c) => {
          const { socket } = (c.env as { incoming: IncomingMessage }).incoming;
          await new Promise((resolve) => socket.once('timeout', resolve));
          return c.text('done');
        });
      },
      { HTTP_STALLED_CLIENT_MS: '20' },
    );
    expect(await ask(service, 'GET', '/slow')).toMatchObject({ status: 200, body: 'done' });
  });
});
