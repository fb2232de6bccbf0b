/** A run with data of its own for one of its streams: from a file to weights, and again as a replay. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ARTIFACT_TOPICS, liveArtifacts } from '@rlhf-streams/runs';
import { followRun, type Platform, requestRun, startPlatform } from 'rlhf-streams';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { outcomeOf } from './outcome.js';
import { oneThread, tinyPpo, writeReviews } from './tiny-runs.js';

let folder: string;
let platform: Platform;
let ptx: ReturnType<typeof tinyPpo>;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'pretraining-'));
  const pretraining = join(folder, 'texts.jsonl');
  const rows = Array.from({ length: 40 }, (_, i) => ({
    text: i === 7 ? ' ' : `text ${i} of the pretraining`,
  }));
  await writeFile(pretraining, rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
  ptx = {
    ...tinyPpo(await writeReviews(folder)),
    run: 'ptx',
    steps: 3,
    pretraining,
    pretrainingBatchSize: 5,
    ppo: { ptxCoef: 0.5, numMiniBatches: 2 },
  };
  platform = await startPlatform({
    directory: join(folder, 'log'),
    logLevel: 'silent',
    environment: oneThread,
  });
  for (const config of [
    ptx,
    { ...ptx, run: 'again', replay: 'ptx' },
    { ...ptx, run: 'lighter', replay: 'ptx', ppo: { ...ptx.ppo, ptxCoef: 0.1 } },
  ]) {
    await requestRun(platform, config);
    await followRun(platform, config.run, {});
  }
}, 120_000);
afterAll(async () => {
  await platform.close();
  await rm(folder, { recursive: true });
});

it('learns from both, and says what became of the rows of each', async () => {
  const { url } = platform.services.find(({ name }) => name === 'gateway')!;
  const view = (await (await fetch(`${url}/v1/runs/ptx`)).json()) as {
    datasets: unknown;
    artifacts: Record<string, unknown>;
  };
  expect(view.datasets).toEqual({
    pretraining: { read: 40, used: 39, cut: 0, dropped: { 'empty text': 1 } },
  });
  expect(view.artifacts).toHaveProperty(['items.pretraining']);
  const live = await liveArtifacts(platform.events.readAll(ARTIFACT_TOPICS));
  expect(live).toContainEqual(view.artifacts['items.pretraining']);

  const listed = [];
  for await (const { data } of platform.events.readAll(['steps'])) listed.push(data.streams.at(-1)!);
  expect(listed).toMatchObject(Array(3).fill({ stream: 'pretraining', dataset: 'pretraining' }));
  const rows = listed.flatMap(({ rows }) => rows as number[]);
  expect(new Set(rows).size).toBe(15);
});

it('replays to the same weights, and to others with another weight of the texts', async () => {
  const { weights, steps, deadLetters } = await outcomeOf(platform);
  expect(deadLetters).toEqual([]);
  const metricsOf = (run: string) => steps.filter((step) => step.run === run).map(({ metrics }) => metrics);
  expect(metricsOf('ptx').map((metrics) => metrics['loss/ptx']! > 0)).toEqual([true, true, true]);
  expect(metricsOf('again')).toEqual(metricsOf('ptx'));
  expect(weights.again).toBe(weights.ptx);
  expect(weights.lighter).not.toBe(weights.ptx);
});
