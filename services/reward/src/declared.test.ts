/** Runs that name declared scorers: the service over a log in memory, and a scorer over HTTP. */

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { filesystemArtifacts } from '@rlhf-streams/artifacts';
import { createEvents, type Events, type NewEvent, topicSpecs } from '@rlhf-streams/bus';
import type { DataFor } from '@rlhf-streams/events';
import { type EventLog, memoryLog } from '@rlhf-streams/log';
import { readDeclarations } from '@rlhf-streams/scorers';
import { createLogger, type RunningService, startService } from '@rlhf-streams/service';
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { reward } from './service.js';

const WAIT = { timeout: 30_000, interval: 5 };
const CANARY = 'canary-token-91d0';

interface Asked {
  readonly id: string;
  readonly prompt: string;
  readonly completion: string;
  readonly tokens?: readonly number[];
  readonly messages?: readonly object[];
  readonly metadata?: object;
}
let server: Server;
let asked: Asked[][] = [];
/** What the scorer says of a completion, or the status that it fails with. */
let scoreOf: (item: Asked) => unknown = ({ completion }) => completion.length;
let status = 200;

let folder: string;
let log: EventLog;
let events: Events;
let service: RunningService | undefined;
/** What the service has logged. */
const logged: string[] = [];

beforeAll(async () => {
  server = createServer(async (request, response) => {
    let text = '';
    for await (const chunk of request) text += chunk;
    const { items } = JSON.parse(text) as { items: Asked[] };
    asked.push(items);
    response.writeHead(status, { 'content-type': 'application/json' });
    response.end(
      status === 200
        ? JSON.stringify({ scores: items.map(scoreOf) })
        : `no: ${request.headers.authorization}`,
    );
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  folder = await mkdtemp(join(tmpdir(), 'declared-'));
  log = memoryLog();
  await log.ensureTopics(topicSpecs);
  events = createEvents({ log, source: 'test' });
  await start();
});
afterAll(async () => {
  await service?.stop();
  await events.close();
  await log.close();
  server.closeAllConnections();
  server.close();
  await rm(folder, { recursive: true });
});

let run: string;
let runs = 0;
beforeEach(() => {
  run = `run-${runs++}`;
  asked = [];
  status = 200;
  scoreOf = ({ completion }) => completion.length;
});
const file = () => join(folder, 'scorers.json');

/** Starts the service anew with these settings of the one declared scorer, `judge`. */
async function start(more: object = {}): Promise<void> {
  await service?.stop();
  const { port } = server.address() as AddressInfo;
  const declaration = { url: `http://127.0.0.1:${port}/`, token: 'JUDGE_TOKEN', retries: 0, ...more };
  await writeFile(file(), JSON.stringify({ judge: declaration }));
  service = await startService(reward, {
    log,
    artifacts: filesystemArtifacts({ directory: join(folder, 'artifacts') }),
    environment: { RLHF_DATA_DIR: folder, RLHF_SCORERS: file(), JUDGE_TOKEN: CANARY },
    port: 0,
    logger: createLogger({ level: 'debug', write: (line: string) => void logged.push(line) }),
  });
}

/** A run that has begun with these scorers, with the declarations as they are now. */
async function begin(scorers: readonly unknown[] = ['declared:judge'], hash?: string): Promise<void> {
  const config = { run, method: 'ppo', steps: 9, model: 'm', prompts: 'd', scorers };
  const { sha256 } = (await readDeclarations(file())).get('judge')!;
  const base = { uri: 'nowhere', sha256: 'a'.repeat(64) };
  const data = { run, config, steps: 9, testItems: 0, models: { policy: { base } }, artifacts: {}, from: {} };
  await events.publish([
    { type: 'run.requested', id: run, data: { run, config } },
    {
      type: 'run.started',
      id: `${run}/started`,
      data: { ...data, declared: { 'scorer.0': { name: 'judge', sha256: hash ?? sha256 } } },
    },
  ]);
}

const rollout = (index: number, text: string, more: object = {}): NewEvent => ({
  type: 'rollout.generated',
  id: `${run}/0/${index}/0`,
  data: {
    run,
    step: 0,
    prompt: `${run}/0/${index}`,
    rollout: `${run}/0/${index}/0`,
    policyVersion: 0,
    promptText: 'say ',
    promptTokens: [1],
    text,
    tokens: [2, 3],
    logprobs: [-1, -1],
    finishReason: 'stop',
    temperature: 1,
    ...more,
  },
});

type Answer = DataFor<'reward.scored'> | DataFor<'reward.failed'>;

/** The answers to the run's rollouts, in the order of the rollouts. */
async function answers(count: number): Promise<Answer[]> {
  const found: Answer[] = [];
  for await (const { data } of events.follow({ topics: ['rewards'] })) {
    if (data.run === run) found.push(data);
    if (found.length === count) break;
  }
  return found.toSorted((a, b) => a.rollout.localeCompare(b.rollout, 'en', { numeric: true }));
}
/** Resolves when /readyz says that runs wait, and why. */
const waitsFor = (said: string) =>
  vi.waitFor(async () => {
    const response = await service!.request('/readyz');
    expect(JSON.stringify(await response.json())).toContain(said);
  }, WAIT);

const ask = (body: object) =>
  service!.request('/v1/scores', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });

describe('a run with a declared scorer', () => {
  it('has rollouts that arrive together scored in one request, each by what is known of it', async () => {
    await begin([
      { scorer: 'declared:judge', weight: 2 },
      { rule: { length: {} }, weight: 0.5 },
    ]);
    scoreOf = ({ completion }) => ({ score: completion.length, parts: { tone: 0.25, facts: null } });
    const known = { messages: [{ role: 'user', content: 'say' }], metadata: { topic: 'x' } };
    await events.publish([rollout(0, 'one', known), rollout(1, 'three')]);
    expect(await answers(2)).toMatchObject([
      { score: 7, parts: { judge: 3, 'judge/tone': 0.25, 'judge/facts': null, length: 2 } },
      { score: 11 },
    ]);
    expect(asked.flat().length).toBe(2);
    const [item] = asked.flat().filter(({ completion }) => completion === 'one');
    expect(item).toEqual({
      id: expect.any(String),
      prompt: 'say ',
      completion: 'one',
      tokens: [2, 3],
      ...known,
    });
  });

  it('has failures told by rollout, none of them as a score', async () => {
    await begin();
    scoreOf = ({ completion }) => (completion === 'none' ? null : completion === 'text' ? 'good' : 1);
    await events.publish([rollout(0, 'fine'), rollout(1, 'none'), rollout(2, 'text')]);
    expect(await answers(3)).toMatchObject([
      { score: 1, parts: { judge: 1 } },
      { cause: { code: 'REWARD_NOT_APPLICABLE' } },
      {
        cause: {
          code: 'SCORER_ANSWER',
          message: expect.stringContaining('scorer judge: expected a finite number'),
        },
      },
    ]);
  });

  it('waits while the scorer is out of reach, and goes on when it is back', async () => {
    await begin();
    status = 503;
    await events.publish([rollout(0, 'four')]);
    await waitsFor('it is not available');
    status = 200;
    expect(await answers(1)).toMatchObject([{ score: 4 }]);
  });

  it('waits where the scorer is declared otherwise than when it started', async () => {
    await begin(undefined, 'f'.repeat(64));
    await events.publish([rollout(0, 'changed')]);
    await waitsFor('declared as when the run started');
    await events.publish([{ type: 'run.cancelled', id: `${run}/end`, data: { run, reason: 'enough' } }]);
    expect(asked).toEqual([]);
  });
});

it('POST /v1/scores scores with a declared scorer', async () => {
  scoreOf = ({ completion }) => (completion === 'bad' ? 'x' : { score: completion.length, parts: { a: 1 } });
  const items = ['good', 'bad'].map((completion) => ({ prompt: 'p', completion, metadata: { k: 1 } }));
  expect(await (await ask({ scorer: 'declared:judge', items })).json()).toEqual({
    scorer: 'declared:judge',
    scores: [
      { score: 4, parts: { judge: 4, 'judge/a': 1 } },
      { score: null, parts: {}, cause: { code: 'SCORER_ANSWER', message: expect.any(String) } },
    ],
  });
  expect(asked.flat()[0]).toMatchObject({ prompt: 'p', metadata: { k: 1 } });
  for (const scorer of ['declared:other', 'run:x'])
    expect((await ask({ scorer, texts: ['x'] })).status).toBe(404);
  expect((await ask({ scorer: 'declared:judge', run: 'r', texts: ['x'] })).status).toBe(400);
  expect((await ask({ scorer: 'declared:judge' })).status).toBe(400);
  status = 503;
  const away = await ask({ scorer: 'declared:judge', texts: ['new'] });
  expect([away.status, (await away.json()) as object]).toMatchObject([503, { code: 'SCORER_UNAVAILABLE' }]);
});

it('nobody is told the token: no event, no log, no answer over HTTP', async () => {
  await begin();
  for (const failing of [400, 500, 401, 503]) {
    status = failing;
    const response = await ask({ scorer: 'declared:judge', texts: [`${failing}`] });
    expect(await response.text()).not.toContain(CANARY);
  }
  status = 400;
  await events.publish([rollout(0, 'leak?')]);
  const [failed] = await answers(1);
  expect(failed).toMatchObject({
    cause: { code: 'SCORER_REFUSED', message: expect.stringContaining('Bearer [token]') },
  });
  for (const topic of ['rewards', 'runs', 'dead-letters'] as const)
    for await (const event of events.readAll([topic])) expect(JSON.stringify(event)).not.toContain(CANARY);
  expect(logged.length).toBeGreaterThan(0);
  expect(logged.join('')).not.toContain(CANARY);
});

it('a run waits at a spending cap until it is raised, also with a scorer that answered before', async () => {
  await events.publish([rollout(0, 'spent')]);
  await begin();
  await answers(1);
  await start({ spending: { requests: 1 } });
  await events.publish([rollout(1, 'capped'), rollout(2, 'spent')]);
  await waitsFor('to have spent less than 1 requests');
  // What is known costs nothing.
  expect(await answers(2)).toMatchObject([{ score: 5 }, { rollout: `${run}/0/2/0`, score: 5 }]);
  expect(asked).toHaveLength(1);
  await start();
  expect(await answers(3)).toMatchObject([{}, { score: 6 }, {}]);
});

it('a token that is not there keeps the service from starting', async () => {
  await expect(start({ token: 'ANOTHER_TOKEN' })).rejects.toMatchObject({
    code: 'RUNTIME_SETTINGS',
    message: expect.stringContaining('judge: ANOTHER_TOKEN'),
  });
});
