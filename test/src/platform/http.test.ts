/** Every service's HTTP over a socket, asked whatever a client may send: its mistakes are never a failure of the service. */
import { mkdtemp, rm } from 'node:fs/promises';
import { request as httpRequest } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { followRun, type Platform, requestRun, startPlatform } from 'rlhf-streams';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { oneThread, tinyPpo, writeReviews } from './tiny-runs.js';

let folder: string;
let platform: Platform;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'http-'));
  platform = await startPlatform({
    directory: join(folder, 'log'),
    logLevel: 'error',
    environment: oneThread,
  });
  const ppo = { ...tinyPpo(await writeReviews(folder)), steps: 1 };
  await requestRun(platform, ppo);
  await followRun(platform, ppo.run, {});
});
afterAll(async () => {
  await platform.close();
  await rm(folder, { recursive: true });
});

interface Answer {
  readonly status: number;
  readonly type: string | undefined;
  readonly allow: string | undefined;
  readonly body: string;
}

function ask(
  port: number,
  method: string,
  path: string,
  headers: Readonly<Record<string, string | number>> = {},
  body?: string,
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const request = httpRequest({ host: '127.0.0.1', port, method, path, headers }, async (response) => {
      let text = '';
      for await (const part of response) text += part;
      const { 'content-type': type, allow } = response.headers;
      resolve({ status: response.statusCode!, type, allow, body: text });
    });
    request.on('error', reject);
    request.end(body);
  });
}

const operators = ['/healthz', '/readyz', '/metrics'];
const paths: Readonly<Record<string, readonly string[]>> = {
  policy: ['/v1/models', '/v1/completions'],
  reward: ['/v1/scores'],
  reference: ['/v1/logprobs'],
  optimizer: [],
  coordinator: [],
  gateway: [
    '/',
    '/openapi.json',
    '/v1/runs',
    '/v1/runs/ppo',
    '/v1/runs/ppo/metrics',
    '/v1/runs/ppo/events',
    '/v1/runs/ppo/cancel',
    '/v1/runs/nobody/cancel',
    '/v1/experiments',
    '/v1/experiments/tried',
    '/v1/experiments/tried/cancel',
    '/v1/dead-letters',
  ],
};
const methods = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE', 'PROPFIND'];

const text = fc.oneof(
  fc.string(),
  fc.string({ unit: 'binary' }),
  fc.constantFrom('', '\0', '\ud800', '__proto__', 'ppo', '../x', 'long '.repeat(200), '<|endoftext|>'),
);
/** Mostly what is allowed, sometimes what is not. */
const number = (allowed: fc.Arbitrary<number>) =>
  fc.oneof(
    { weight: 9, arbitrary: allowed },
    {
      weight: 1,
      arbitrary: fc.constantFrom(0, -0, -1, 0.5, 1e308, -1e308, 5e-324, 2 ** 53, 2 ** 31, 2 ** 32),
    },
  );
const count = number(fc.integer({ min: 1, max: 8 }));
const model = fc.constantFrom('ppo', 'ppo', 'ppo', 'nobody', '__proto__');
/** Bodies that come close to what each path takes. */
const close: Readonly<Record<string, fc.Arbitrary<unknown>>> = {
  '/v1/completions': fc.record(
    {
      model,
      prompt: text,
      max_tokens: count,
      temperature: number(fc.constantFrom(0, 5e-324, 1e-9, 0.5, 1, 10)),
      top_p: number(fc.constantFrom(1, 0.5, 5e-324)),
      top_k: number(fc.constantFrom(0, 1, 1000, 2 ** 40)),
      n: count,
      seed: number(fc.constantFrom(0, 1, 2 ** 32, 2 ** 52)),
    },
    { requiredKeys: ['model', 'prompt'] },
  ),
  '/v1/scores': fc.record({ run: model, texts: fc.array(text, { maxLength: 3 }) }),
  '/v1/logprobs': fc.record(
    {
      run: model,
      texts: fc.array(text, { maxLength: 3 }),
      temperature: number(fc.constantFrom(5e-324, 1e-9, 1, 10)),
    },
    { requiredKeys: ['run', 'texts'] },
  ),
  '/v1/runs': fc.oneof(
    fc.record({
      run: fc.constantFrom('ppo', '__proto__', 'x'),
      method: fc.constantFrom('sft', 'ppo', 'x'),
      steps: count,
      model: fc.oneof(text, fc.record({ layers: count }), fc.jsonValue()),
    }),
    fc.record({ run: text, method: fc.constant('sft'), steps: count, model: text, data: text }),
    fc.record({
      run: fc.constant('x'),
      method: fc.constant('ppo'),
      steps: count,
      model: text,
      prompts: text,
      scorers: fc.array(text, { minLength: 1, maxLength: 2 }),
    }),
  ),
  '/v1/experiments': fc.record(
    {
      experiment: fc.oneof(text, fc.constantFrom('tried', 'x', '__proto__')),
      tags: fc.oneof(fc.dictionary(text, text, { maxKeys: 3 }), fc.jsonValue()),
      runs: fc.array(
        fc.oneof(
          fc.record({
            run: fc.constantFrom('a', 'b', 'c', 'ppo', '__proto__'),
            method: fc.constant('sft'),
            steps: fc.constant(1),
            model: fc.constantFrom('run:a', 'run:b', 'run:c', 'run:ppo', 'run:', 'run:__proto__'),
            data: fc.constantFrom('bundled', 'run:a'),
          }),
          fc.jsonValue(),
        ),
        { maxLength: 4 },
      ),
    },
    { requiredKeys: ['experiment', 'runs'] },
  ),
  '/v1/experiments/tried/cancel': fc.record({ reason: text }),
  '/v1/runs/ppo/cancel': fc.record({ reason: text }),
};

describe.each(Object.entries(paths))('%s', (name, own) => {
  const portOf = () => platform.services.find((service) => service.name === name)!.port;
  const every = [...own, ...operators];

  it('says of each path what it takes, and refuses everything else', async () => {
    for (const path of every) {
      const options = await ask(portOf(), 'OPTIONS', path);
      expect(options.status).toBe(204);
      const allowed = options.allow!.split(', ');
      for (const method of methods.filter((one) => ![...allowed, 'OPTIONS'].includes(one))) {
        const { status, allow, type } = await ask(portOf(), method, path);
        expect({ method, path, status, allow }).toEqual({ method, path, status: 405, allow: options.allow });
        expect(type).toBe('application/problem+json');
      }
    }
  });

  const expectNoFailure = async (...asked: Parameters<typeof ask>) => {
    const { status, body } = await ask(...asked);
    expect({ status, body: status < 500 ? '' : body }).toEqual({ status: expect.any(Number), body: '' });
  };

  it('never answers with a failure to whatever a client sends', async () => {
    const tails = ['', '/', '/%', '/%ff', '?', '?limit=1&limit=2', '?cursor=x', '?topics=', '?from=1e9'];
    const request = fc.record({
      path: fc.tuple(fc.constantFrom(...every), fc.constantFrom(...tails)).map((parts) => parts.join('')),
      method: fc.oneof(fc.constantFrom('POST', 'GET'), fc.constantFrom(...methods)),
      type: fc.constantFrom('application/json', undefined, 'text/plain', 'application/x-www-form-urlencoded'),
      body: fc.oneof(fc.json(), fc.string(), fc.constantFrom(undefined, '['.repeat(50_000))),
      chunked: fc.boolean(),
      event: fc.constantFrom(undefined, 'x', '5d1c0a7e~0.0.0.3'),
    });
    await fc.assert(
      fc.asyncProperty(request, async ({ path, method, type, body, chunked, event }) => {
        const length: Record<string, string | number> = chunked
          ? { 'transfer-encoding': 'chunked' }
          : { 'content-length': Buffer.byteLength(body ?? '') };
        const headers = {
          ...(type !== undefined && { 'content-type': type }),
          ...(event !== undefined && { 'last-event-id': event }),
          ...(body && length),
        };
        await expectNoFailure(portOf(), method, path, headers, body);
      }),
      { numRuns: own.length === 0 ? 20 : 100 },
    );
  });

  it.each(own.filter((path) => close[path]))(
    'never answers with a failure to what comes close: %s',
    async (path) => {
      const type = { 'content-type': 'application/json' };
      await fc.assert(
        fc.asyncProperty(close[path]!, (body) =>
          expectNoFailure(portOf(), 'POST', path, type, JSON.stringify(body)),
        ),
        // Each run that is accepted is begun.
        { numRuns: path === '/v1/runs' || path === '/v1/experiments' ? 60 : 150 },
      );
    },
  );
});
