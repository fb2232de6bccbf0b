import { topicSpecs } from '@rlhf-streams/bus';
import { type EventLog, memoryLog } from '@rlhf-streams/log';
import { createLogger, defineService, type RunningService, startService } from '@rlhf-streams/service';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { z } from 'zod';
import { serveCompletions } from './completions.js';
import type { LoadedPolicy } from './follower.js';
import type { Reader } from './models.js';
import { withOpenAIErrors } from './openai-errors.js';
import type { Policies } from './policies.js';
import type { Completed } from './thread.js';

const WAIT = { timeout: 20_000, interval: 2 };

let log: EventLog;
let service: RunningService;
let stopping: AbortSignal;
/** Who waits for completions, and what comes to them. */
let readers: Reader[];
let complete: (reader: Reader) => Promise<Completed>;
let inUse: number;
const logged: string[] = [];

const policy: LoadedPolicy = {
  version: 3,
  generate: () => Promise.reject(new Error('no rollout is asked for')),
  judge: () => Promise.reject(new Error('no prompt is judged')),
  complete: (_, reader) => {
    readers.push(reader);
    return complete(reader);
  },
  encode: async (prompts) => ({
    prompts: prompts.map((prompt) => ({ tokens: [0, 1], text: `${prompt}`, begin: 1 })),
    stopTokens: [0],
    contextLength: 64,
  }),
};
const useNewest: Policies['useNewest'] = async (_run, _options, work) => {
  inUse++;
  try {
    return await work(policy);
  } finally {
    inUse--;
  }
};
const policies = {
  runs: { state: new Map() },
  versions: { state: new Map([['r', { run: 'r', version: 3 }]]) },
  useNewest,
};

/** As a thread does when its port is closed. */
const untilLeft = ({ signal }: Reader) =>
  new Promise<never>((_, reject) => {
    const gone = Object.assign(new Error('gone'), { code: 'MODEL_GENERATION_ABORTED' });
    signal.addEventListener('abort', () => reject(gone), { once: true });
  });
const failing = (code: string) => () => Promise.reject(Object.assign(new Error(`it was ${code}`), { code }));

beforeEach(async () => {
  log = memoryLog();
  await log.ensureTopics(topicSpecs);
  readers = [];
  inUse = 0;
  logged.length = 0;
  const definition = defineService({
    name: 'policy',
    settings: z.object({}),
    start: (context) => {
      stopping = context.signal;
      context.http.use('/v1/*', withOpenAIErrors);
      serveCompletions(context, policies as unknown as Policies);
    },
  });
  const logger = createLogger({ level: 'error', format: 'json', write: (line) => void logged.push(line) });
  const artifacts = {} as Parameters<typeof startService>[1]['artifacts'];
  service = await startService(definition, { log, artifacts, environment: {}, port: 0, logger });
});
afterEach(async () => {
  await service.stop();
  await log.close();
});

const ask = (request: object, signal?: AbortSignal) =>
  fetch(`${service.url}/v1/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'r', prompt: 'p', ...request }),
    ...(signal && { signal }),
  });

describe('a client that goes away', () => {
  it.each([{ stream: false }, { stream: true }])('ends what is generated for it: %j', async (request) => {
    complete = async (reader) => {
      reader.onPiece?.({ text: 'x', tokens: [] });
      return untilLeft(reader);
    };
    const left = new AbortController();
    const response = ask({ ...request, n: 2 }, left.signal).catch(() => undefined);
    if (request.stream) {
      const { value } = await (await response)!.body!.getReader().read();
      expect(new TextDecoder().decode(value)).toContain('"text":"x"');
    }
    await vi.waitFor(() => expect(readers).toHaveLength(2), WAIT);
    expect(inUse).toBe(1);
    left.abort();
    await vi.waitFor(() => expect(inUse).toBe(0), WAIT);
    expect(readers.map(({ signal }) => signal.aborted)).toEqual([true, true]);
    await response;
    expect(logged).toEqual([]);
  });
});

describe('what goes wrong', () => {
  it.each([
    ['MODEL_GENERATION_TIMEOUT', 504, 'server_error'],
    ['MODEL_NOT_A_POLICY', 400, 'invalid_request_error'],
    ['MODEL_LOGITS_NOT_FINITE', 500, 'server_error'],
  ])('is a problem with an error for OpenAI clients: %s', async (code, status, type) => {
    complete = failing(code);
    const response = await ask({});
    expect([response.status, response.headers.get('content-type')]).toEqual([
      status,
      'application/problem+json',
    ]);
    expect(await response.json()).toMatchObject({
      code,
      status,
      error: { message: `it was ${code}`, type, param: null, code: code.toLowerCase() },
    });
  });

  it('after the first chunk is the last one', async () => {
    complete = async (reader) => {
      reader.onPiece?.({ text: 'x', tokens: [] });
      return failing('MODEL_GENERATION_TIMEOUT')();
    };
    const response = await ask({ stream: true });
    expect(response.status).toBe(200);
    const chunks = (await response.text()).trim().split('\n\n');
    expect(chunks).toHaveLength(2);
    expect(JSON.parse(chunks[1]!.slice('data: '.length))).toEqual({
      error: {
        message: 'it was MODEL_GENERATION_TIMEOUT',
        type: 'server_error',
        param: null,
        code: 'model_generation_timeout',
      },
    });
  });

  it.each([{ stream: false }, { stream: true }])('because the service stops is said: %j', async (request) => {
    complete = async (reader) => {
      reader.onPiece?.({ text: 'x', tokens: [] });
      // It fails as a call of a thread does that is closed meanwhile.
      return new Promise((_, reject) => {
        stopping.addEventListener('abort', () => reject(new Error('thread is closed')), { once: true });
      });
    };
    const asked = ask(request);
    await vi.waitFor(() => expect(readers).toHaveLength(1), WAIT);
    // The response of a stream begins before the service stops; a whole answer does not.
    if (request.stream) await asked;
    await service.stop();
    const response = await asked;
    expect(response.status).toBe(request.stream ? 200 : 503);
    expect(await response.text()).toContain('"code":"service_stopping"');
    expect(logged).toEqual([]);
  });

  it('of the inside is not told, but logged', async () => {
    complete = failing('SECRET');
    expect(await (await ask({})).json()).toMatchObject({ status: 500, error: { message: 'Internal error' } });
    expect(await (await ask({ stream: true })).text()).not.toContain('SECRET');
    await vi.waitFor(() => expect(logged.filter((line) => line.includes('SECRET'))).toHaveLength(2), WAIT);
  });

  it('is a problem when the request is not valid', async () => {
    const response = await ask({ suffix: 'x', foo: 1 });
    expect(await response.json()).toMatchObject({
      status: 400,
      code: 'INVALID_REQUEST',
      error: {
        message: expect.stringMatching(/suffix: is not supported.*no such key: foo/s),
        param: 'suffix',
      },
    });
  });
});

it('tells the rest of a text that came without pieces, and ends the stream', async () => {
  complete = async (reader) => {
    reader.onPiece?.({ text: 'a ', tokens: [] });
    return { text: 'a film', tokens: [], finishReason: 'length', count: 2 };
  };
  const response = await ask({ stream: true });
  expect(response.headers.get('content-type')).toContain('text/event-stream');
  const lines = (await response.text()).trim().split('\n\n');
  expect(lines.at(-1)).toBe('data: [DONE]');
  const choices = lines.slice(0, -1).map((line) => JSON.parse(line.slice('data: '.length)).choices[0]);
  expect(choices).toEqual([
    { index: 0, text: 'a ', logprobs: null, finish_reason: null },
    { index: 0, text: 'film', logprobs: null, finish_reason: 'length' },
  ]);
});
