import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type Endpoint, postJson } from './post-json.js';
import { type Reply, type ScorerServer, startScorerServer } from './scorer-server.test.support.js';

const CANARY = 'canary-token-5f2c';
let server: ScorerServer;
beforeAll(async () => {
  server = await startScorerServer();
});
beforeEach(() => {
  server.asked.length = 0;
});
afterAll(() => server.close());

const post = (change: Partial<Endpoint> = {}) =>
  postJson(
    { name: 'scorer s', url: server.url, token: CANARY, timeoutMs: 10_000, retries: 0, ...change },
    { a: 1 },
  );
/** What comes of a reply: the JSON, or the error. */
const outcome = (reply: Reply, change?: Partial<Endpoint>): Promise<unknown> => {
  server.reply = () => reply;
  return post(change).catch((error) => error);
};

it('posts JSON with the token, and gives the JSON of the answer', async () => {
  expect(await outcome({ json: { b: 2 } })).toEqual({ b: 2 });
  expect(server.asked).toEqual([
    {
      path: '/score',
      headers: expect.objectContaining({
        authorization: `Bearer ${CANARY}`,
        'content-type': 'application/json',
      }),
      body: { a: 1 },
    },
  ]);
  await outcome({ json: 1 }, { token: undefined });
  expect(server.asked[1]!.headers).not.toHaveProperty('authorization');
});

describe('a failure says whose it is', () => {
  it.each<[string, Reply, string, boolean]>([
    ['a token that is refused', { status: 401 }, 'SCORER_UNAVAILABLE', true],
    ['a wrong URL', { status: 404 }, 'SCORER_UNAVAILABLE', true],
    ['an overload', { status: 429 }, 'SCORER_UNAVAILABLE', true],
    ['a redirect', { status: 307, headers: { location: 'http://127.0.0.1:9/' } }, 'SCORER_UNAVAILABLE', true],
    ['a connection that breaks', (response) => void response.destroy(), 'SCORER_UNAVAILABLE', true],
    ['a body that it does not take', { status: 400, text: 'too long' }, 'SCORER_REFUSED', false],
    ['a bug of its own', { status: 500 }, 'SCORER_FAILED', false],
    ['no JSON', { text: '<html>' }, 'SCORER_ANSWER', false],
    ['an answer that does not end', (response) => void response.write('['), 'SCORER_TIMEOUT', false],
    ['no answer', 'never', 'SCORER_TIMEOUT', false],
  ])('%s', async (_, reply, code, unavailable) => {
    const timeoutMs = code === 'SCORER_TIMEOUT' ? 50 : 10_000;
    expect(await outcome(reply, { timeoutMs })).toMatchObject({ code, unavailable });
  });

  it('an address at which nobody listens', async () => {
    const other = await startScorerServer();
    await other.close();
    expect(await outcome('never', { url: other.url })).toMatchObject({
      code: 'SCORER_UNAVAILABLE',
      message: 'expected scorer s to answer, but the connection failed (ECONNREFUSED)',
    });
  });

  it('an answer that would fill the memory', async () => {
    const chunk = 'x'.repeat(1024 * 1024);
    const pour = (response: {
      write(text: string): boolean;
      once(event: string, then: () => void): unknown;
    }) => {
      while (response.write(chunk));
      response.once('drain', () => pour(response));
    };
    expect(await outcome(pour as unknown as Reply)).toMatchObject({
      code: 'SCORER_ANSWER',
      message: expect.stringContaining('at most 16777216 bytes'),
    });
  });
});

it('tries again what may be over soon, and nothing else', async () => {
  server.reply = (_, index) => (index === 0 ? { status: 503 } : { json: 'well' });
  expect(await post({ retries: 1 })).toBe('well');
  server.asked.length = 0;
  await outcome({ status: 400 }, { retries: 1 });
  expect(server.asked).toHaveLength(1);
  server.asked.length = 0;
  await outcome({ status: 500 }, { retries: 1 });
  expect(server.asked).toHaveLength(2);
});

it('waits before the next attempt as long as the answer asks', async () => {
  let first = 0;
  let between = 0;
  server.reply = (_, index) => {
    if (index > 0) between = performance.now() - first;
    first = performance.now();
    return index > 0 ? { json: 'well' } : { status: 429, headers: { 'retry-after': '1' } };
  };
  expect(await post({ retries: 1 })).toBe('well');
  expect(between).toBeGreaterThan(990);
});

it('asks before every attempt whether it may', async () => {
  let left = 2;
  const onAttempt = async () => {
    if (left-- === 0) throw new Error('no more');
  };
  expect(await outcome({ status: 503 }, { retries: 5, onAttempt })).toMatchObject({ message: 'no more' });
  expect(server.asked).toHaveLength(2);
});

it('ends with its signal', async () => {
  const stopping = new AbortController();
  server.reply = () => {
    stopping.abort(new Error('the service stops'));
    return 'never';
  };
  await expect(post({ signal: stopping.signal })).rejects.toThrow('the service stops');
});

it('tells nobody the token, also where the answer repeats it', async () => {
  const replies: Reply[] = [401, 400, 500, 307].map((status) => ({ status, text: `no: Bearer ${CANARY}` }));
  for (const reply of [...replies, { text: `{"broken ${CANARY}` }, { json: { error: CANARY } }]) {
    const said = await outcome(reply);
    const cause = (said as { cause?: unknown }).cause;
    const told = JSON.stringify([said, cause, `${(said as Error).message}`, `${(said as Error).stack}`]);
    expect(told).not.toContain(CANARY);
  }
});
