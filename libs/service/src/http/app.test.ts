import { createRoute } from '@hono/zod-openapi';
import { LogError } from '@rlhf-streams/log';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { createLogger } from '../telemetry/logger.js';
import { noTelemetry } from '../telemetry/port.js';
import { createApp } from './app.js';
import { type ProblemDetails, problem } from './problem.js';
import { validatedBody } from './validated-body.js';

const logged: string[] = [];
const logger = createLogger({ format: 'json', write: (line) => void logged.push(line) });
const app = createApp({ name: 'test', api: {}, ...noTelemetry, logger, bodyLimitBytes: 100 });
const Body = z.object({ run: z.string(), config: z.object({ betas: z.array(z.number()) }) });
app.post('/runs', validatedBody(Body), (c) => c.json(c.req.valid('json'), 201));
const Strict = z.strictObject({ maxTokens: z.int().optional(), prompt: z.string().optional() });
app.post('/strict', validatedBody(Strict), (c) => c.json(c.req.valid('json')));
const list = createRoute({
  method: 'get',
  path: '/runs',
  request: { query: z.object({ limit: z.coerce.number().int() }) },
  responses: { 200: { description: 'what was asked' } },
});
app.openapi(list, (c) => c.json(c.req.valid('query')));
app.get('/missing', () => {
  throw problem(404, 'RUN_NOT_FOUND', 'No such run', 'there is no run r9', { headers: { 'x-hint': 'list' } });
});
app.get('/broken', () => {
  throw new Error('password is hunter2');
});
app.get('/unavailable', () => {
  throw new LogError('LOG_UNAVAILABLE', 'broker-3.internal does not answer');
});
app.get('/teapot', (c) => c.text('own answer', 418));

const json = (body: string) => ({ method: 'POST', body, headers: { 'content-type': 'application/json' } });
async function ask(path: string, init?: RequestInit): Promise<{ response: Response; body: ProblemDetails }> {
  const response = await app.request(path, init);
  expect(response.headers.get('content-type')).toBe('application/problem+json');
  return { response, body: (await response.json()) as ProblemDetails };
}

describe('problem details', () => {
  it('has all members of RFC 9457, and a code', async () => {
    const { response, body } = await ask('/missing');
    expect(response.status).toBe(404);
    expect(response.headers.get('x-hint')).toBe('list');
    expect(body).toEqual({
      type: 'urn:problem-type:run-not-found',
      title: 'No such run',
      status: 404,
      detail: 'there is no run r9',
      instance: '/missing',
      code: 'RUN_NOT_FOUND',
    });
  });

  it('names each mistake of a body by its path', async () => {
    const { body } = await ask('/runs', json('{"run": 1, "config": {"betas": [0.1, "x"]}}'));
    expect(body).toMatchObject({ status: 400, code: 'INVALID_REQUEST' });
    expect(body.errors?.map(({ path, code }) => [path, code])).toEqual([
      ['run', 'invalid_type'],
      ['config.betas[1]', 'invalid_type'],
    ]);
  });

  it('says what was meant by a key, or which there are', async () => {
    const { body } = await ask('/strict', json('{"max_token": 1, "foo": 2, "bar": 3}'));
    expect(body.errors?.map(({ message }) => message)).toEqual([
      'no such key: max_token (did you mean maxTokens?), foo, bar; there are maxTokens, prompt',
    ]);
  });

  it.each([
    ['a query that does not fit', '/runs?limit=x', {}, 400, 'INVALID_REQUEST'],
    ['malformed JSON', '/runs', json('{"run": '), 400, 'MALFORMED_JSON'],
    ['no body at all', '/runs', json(''), 400, 'MALFORMED_JSON'],
    [
      'another media type',
      '/runs',
      { method: 'POST', body: 'x', headers: { 'content-type': 'text/plain' } },
      415,
      'UNSUPPORTED_MEDIA_TYPE',
    ],
    ['a body too large', '/runs', json(JSON.stringify({ run: 'x'.repeat(200) })), 413, 'BODY_TOO_LARGE'],
    ['no such path', '/nowhere', {}, 404, 'NOT_FOUND'],
  ])('for %s', async (_, path, init, status, code) => {
    const { response, body } = await ask(path, init);
    expect(response.status).toBe(status);
    expect(body).toMatchObject({ status, code, instance: path.split('?')[0] });
  });

  it('for another method, with those allowed', async () => {
    const { response, body } = await ask('/runs', { method: 'DELETE' });
    expect(response.status).toBe(405);
    expect(response.headers.get('allow')?.split(', ').sort()).toEqual(['GET', 'HEAD', 'POST']);
    expect(body.code).toBe('METHOD_NOT_ALLOWED');
  });

  it('tells a client to come again when something is out of reach, and not what', async () => {
    const { response, body } = await ask('/unavailable');
    expect(response.status).toBe(503);
    expect(response.headers.get('retry-after')).toBe('5');
    expect(body).toMatchObject({ code: 'LOG_UNAVAILABLE' });
    expect(JSON.stringify(body)).not.toContain('broker');
  });

  it('says nothing of the inside, and logs it', async () => {
    logged.length = 0;
    const { response, body } = await ask('/broken');
    expect(response.status).toBe(500);
    expect(body).toEqual({
      type: 'urn:problem-type:internal',
      title: 'Internal error',
      status: 500,
      instance: '/broken',
      code: 'INTERNAL',
    });
    expect(logged.join()).toContain('hunter2');
  });
});

it('hands on what is valid, and leaves answers of handlers alone', async () => {
  const valid = { run: 'r1', config: { betas: [0.1] } };
  const created = await app.request('/runs', json(JSON.stringify(valid)));
  expect(created.status).toBe(201);
  expect(await created.json()).toEqual(valid);
  expect(await (await app.request('/runs?limit=3')).json()).toEqual({ limit: 3 });
  expect((await app.request('/teapot')).status).toBe(418);
});

it('says of a body what was expected and what came', async () => {
  const { response, body } = await ask('/runs', json('{"run": 7, "config": {}}'));
  expect(response.status).toBe(400);
  expect(body.errors).toEqual([
    { path: 'run', message: 'expected a string, got 7', code: 'invalid_type' },
    { path: 'config.betas', message: 'expected a list, got nothing', code: 'invalid_type' },
  ]);
});
