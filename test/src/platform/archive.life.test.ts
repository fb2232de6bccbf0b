import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { archivedTopics } from '@rlhf-streams/events';
import type { RunConfigInput } from '@rlhf-streams/runs';
import { followRun, type Platform, requestRun, startPlatform } from 'rlhf-streams';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { outcomeOf } from './outcome.js';
import { oneThread, tinyComparisons, tinyDpo, tinyPpo, tinySft, writeReviews } from './tiny-runs.js';

/** What a log may lose: services know from the other topics what they know. */
const WORK = [
  'prompts',
  'rollouts',
  'rewards',
  'reference-logprobs',
  'demonstrations',
  'comparisons',
] as const;
const RUNS = ['sft', 'ppo', 'comparisons', 'dpo'];

interface Message {
  readonly lastEventId: string;
  readonly id: string;
  readonly type: string;
  readonly topic: string;
}

let folder: string;
let platform: Platform;
/** What the log held of each run, as its streams tell it, before the topics were emptied. */
const logged = new Map<string, unknown[]>();
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'archive-'));
  const data = await writeReviews(folder);
  platform = await startPlatform({
    directory: join(folder, 'log'),
    logLevel: 'silent',
    environment: oneThread,
  });
  for (const config of [tinySft(data), tinyPpo(data, 'run:sft'), tinyComparisons(data), tinyDpo()])
    await complete(config);
  const archived = new Set<string>();
  const isLast = ({ type, data }: { readonly type: string; readonly data: { readonly run: string } }) =>
    type === 'run.archived' && archived.add(data.run).size === RUNS.length;
  for await (const _ of platform.events.follow({ topics: ['runs'], until: isLast }));

  for await (const { id, type, topic, time, data } of platform.events.readAll(archivedTopics)) {
    if (type === 'run.archived') continue;
    const told = { id, type, topic, time: new Date(time).toISOString(), data };
    logged.set(data.run, [...(logged.get(data.run) ?? []), told]);
  }
  const { latest } = await platform.log.positions(WORK);
  await platform.log.trim(latest);
  expect((await platform.log.positions(WORK)).earliest).toEqual(latest);
}, 120_000);
afterAll(async () => {
  await platform.close();
  await rm(folder, { recursive: true });
});

async function complete(config: RunConfigInput): Promise<void> {
  await requestRun(platform, config);
  await followRun(platform, config.run, {});
}

const ask = (path: string, init?: RequestInit) =>
  platform.services.find(({ name }) => name === 'gateway')!.request(path, init);

const show = async (run: string) =>
  (await (await ask(`/v1/runs/${run}`)).json()) as { config: object; archive?: unknown };

/** The whole stream of an ended run, on all topics, or what follows an event of it. */
async function stream(run: string, lastEventId?: string): Promise<Message[]> {
  const response = await ask(`/v1/runs/${run}/events?topics=${archivedTopics.join(',')}`, {
    ...(lastEventId !== undefined && { headers: { 'last-event-id': lastEventId } }),
  });
  return (await response.text()).split('\n\n').flatMap((block) => {
    const fields = Object.fromEntries(
      block.split('\n').map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 2)]),
    );
    return fields.data ? [{ lastEventId: fields.id!, ...JSON.parse(fields.data) }] : [];
  });
}
const withoutPlace = ({ lastEventId: _, ...told }: Message): unknown => told;
const sorted = (told: readonly unknown[]) => told.map((each) => JSON.stringify(each)).toSorted();

it.each(RUNS)('%s, whose topics were emptied, is streamed whole', async (run) => {
  const told = await stream(run);
  expect(sorted(told.map(withoutPlace))).toEqual(sorted(logged.get(run)!));
  expect(told.at(-1)!.type).toBe('run.completed');
});

it('is streamed from any event on, without gap or repetition', async () => {
  const told = await stream('ppo');
  expect(told.length).toBeGreaterThan(200);
  for (const at of [3, told.length >> 1, told.length - 2]) {
    expect((await stream('ppo', told[at]!.lastEventId)).map(withoutPlace)).toEqual(
      told.slice(at + 1).map(withoutPlace),
    );
  }
});

it('shows its archive', async () => {
  expect((await show('ppo')).archive).toMatchObject({
    artifact: { sha256: expect.stringMatching(/^[0-9a-f]{64}$/) },
    records: { prompts: 48, rollouts: 48, rewards: 48, 'reference-logprobs': 48, comparisons: 0 },
    whole: true,
  });
});

it.each(['ppo', 'dpo', 'sft'])('%s is replayed from its archive to the same bits', async (run) => {
  const again = `${run}-again`;
  const { config } = await show(run);
  await complete({ ...config, run: again, replay: run } as RunConfigInput);
  const { weights } = await outcomeOf(platform);
  expect(weights[again]).toBe(weights[run]);
});

it('gives its comparisons to another run, which comes to the same bits', async () => {
  await complete({ ...tinyDpo(), run: 'dpo-later' });
  const { weights } = await outcomeOf(platform);
  expect(weights['dpo-later']).toBe(weights.dpo);
});
