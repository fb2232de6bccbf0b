/** A run that is rewarded by a scorer of the operator's over HTTP, and by a rule. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { DataFor } from '@rlhf-streams/events';
import type { RunConfigInput } from '@rlhf-streams/runs';
import { followRun, type Platform, requestRun, startPlatform } from 'rlhf-streams';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { oneThread, tinyModel, writeReviews } from './tiny-runs.js';

const TOKEN = 'canary-token-3e3e';

let folder: string;
let server: Server;
let platform: Platform;
let data: string;
/** Authorisation of every request. */
const authorised: (string | undefined)[] = [];

interface Item {
  readonly id: string;
  readonly completion: string;
}

/** Counts vowels, and cannot score what an id of a low digit begins; `/none` can score nothing. */
function scoreOf(path: string, { id, completion }: Item): object {
  if (path === '/none' || id < '4') return { id, error: 'not in the mood' };
  return { id, score: completion.replaceAll(/[^aeiou]/g, '').length, parts: { letters: completion.length } };
}

beforeAll(async () => {
  server = createServer(async (request, response) => {
    let text = '';
    for await (const chunk of request) text += chunk;
    authorised.push(request.headers.authorization);
    const { items } = JSON.parse(text) as { items: Item[] };
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify({ scores: items.map((item) => scoreOf(request.url!, item)) }));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  folder = await mkdtemp(join(tmpdir(), 'scorers-'));
  data = await writeReviews(folder);
  const declarations = join(folder, 'scorers.yaml');
  await writeFile(
    declarations,
    `vowels: { url: '${url}/vowels', token: VOWELS_TOKEN }\nnone: { url: '${url}/none' }\n`,
  );
  platform = await startPlatform({
    directory: join(folder, 'log'),
    logLevel: 'silent',
    environment: { ...oneThread, RLHF_SCORERS: declarations, VOWELS_TOKEN: TOKEN },
  });
});
afterAll(async () => {
  await platform.close();
  server.closeAllConnections();
  server.close();
  await rm(folder, { recursive: true });
});

const rewarded = (run: string, scorers: Extract<RunConfigInput, { method: 'reinforce' }>['scorers']) =>
  ({
    run,
    method: 'reinforce',
    seed: 7,
    steps: 2,
    model: tinyModel,
    prompts: data,
    scorers,
    batchSize: 8,
    microBatchSize: 2,
    sampling: { temperature: 1, maxNewTokens: 8 },
    allow: { cut: 1 },
  }) satisfies RunConfigInput;

const complete = async (config: RunConfigInput) => {
  await requestRun(platform, config);
  return followRun(platform, config.run, {});
};

it('trains on the weighed sum, leaves out what has no score, and logs every part', async () => {
  const scorers = ['declared:vowels', { rule: { length: { unit: 'characters' } }, weight: -0.5 } as const];
  await complete(rewarded('vowels', scorers));
  const scored: DataFor<'reward.scored'>[] = [];
  const failed: DataFor<'reward.failed'>[] = [];
  const texts = new Map<string, string>();
  const left: number[] = [];
  for await (const event of platform.events.readAll(['rollouts', 'rewards', 'training-metrics'])) {
    if (event.type === 'rollout.generated') texts.set(event.data.rollout, event.data.text);
    if (event.type === 'reward.scored') scored.push(event.data);
    if (event.type === 'reward.failed') failed.push(event.data);
    if (event.type === 'step.completed') left.push(event.data.metrics['rollout/failed'] ?? 0);
  }
  expect(scored.length + failed.length).toBe(16);
  expect(failed.length).toBeGreaterThan(0);
  expect(left.reduce((sum, count) => sum + count)).toBe(failed.length);
  expect(failed.map(({ cause }) => cause.code)).toEqual(failed.map(() => 'SCORER_REFUSED'));
  for (const { rollout, score, parts } of scored) {
    const text = texts.get(rollout)!;
    const vowels = text.replaceAll(/[^aeiou]/g, '').length;
    const length = [...text].length;
    expect(parts).toEqual({ vowels, 'vowels/letters': text.length, length });
    expect(score).toBe(vowels - 0.5 * length);
  }
  expect(new Set(authorised)).toEqual(new Set([`Bearer ${TOKEN}`]));
  for await (const event of platform.events.readAll(['runs', 'rewards', 'dead-letters']))
    expect(JSON.stringify(event)).not.toContain(TOKEN);
});

it('fails clearly where no rollout of a step has a score', async () => {
  await expect(complete(rewarded('none', ['declared:none']))).rejects.toMatchObject({
    cause: {
      code: 'RUN_STEP_EMPTY',
      message: expect.stringMatching(/8 failed, .*scorer none: .*not in the mood/),
    },
  });
});

it('is refused at the door where it names what nobody declared', async () => {
  await expect(complete(rewarded('unknown', ['declared:vowel']))).rejects.toMatchObject({
    cause: { code: 'RUN_SCORER_UNDECLARED', message: expect.stringContaining('did you mean vowels?') },
  });
});
