import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { newestVersions } from '@rlhf-streams/runs';
import { carryOut, measure, type Platform, parseFrontier, runSetOf, startPlatform } from 'rlhf-streams';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { oneThread, tinyPpo, tinySft, writeReviews } from '../platform/tiny-runs.js';

let folder: string;
let data: string;
let platform: Platform;
const start = () =>
  startPlatform({ directory: join(folder, 'log'), logLevel: 'error', environment: oneThread });

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'frontier-'));
  data = await writeReviews(folder);
  platform = await start();
});
afterAll(async () => {
  await platform.close();
  await rm(folder, { recursive: true });
});

it('a frontier that was interrupted goes on to all of its points, whichever member fails', async () => {
  const { run: _, seed: __, ...ppo } = { ...tinyPpo(data, 'run:sft'), steps: 3 };
  const plan = parseFrontier(
    {
      frontier: 'tiny',
      runs: [{ ...tinySft(data), steps: 2 }],
      members: {
        lost: { run: { ...ppo, model: join(folder, 'nowhere') } },
        ppo: { run: ppo, sweep: { 'ppo.klCoef': [0.01, 0.5] } },
      },
      evaluate: {
        every: 2,
        prompts: data,
        reference: 'run:sft',
        scorers: [`gold:${data}`],
        batchSize: 4,
        microBatchSize: 2,
        sampling: ppo.sampling,
        allow: { cut: 1 },
      },
    },
    'tiny',
  );
  const interruption = new AbortController();
  const enough = ({ runs }: { runs: readonly { status: string; run: string }[] }) => {
    if (runs.some(({ run, status }) => run === 'tiny.ppo.klcoef-0.01.s0' && status !== 'requested'))
      interruption.abort(new Error('enough'));
  };
  const options = { parallel: 1, signal: interruption.signal, looked: enough };
  await expect(carryOut(platform, runSetOf(plan), options)).rejects.toThrow('enough');
  await platform.close();

  platform = await start();
  const runs = await carryOut(platform, runSetOf(plan), {
    parallel: 2,
    signal: new AbortController().signal,
  });
  const results = await measure(platform, plan, runs);

  const newest = await newestVersions(platform.events.readAll(['policy-versions']));
  const failed = results.failed.map(({ run }) => run);
  expect(failed.toSorted()).toEqual(['tiny.lost.s0', 'tiny.lost.s0.at-2', 'tiny.lost.s0.at-3']);
  expect(results.points.map(({ setting, step }) => [setting, step])).toEqual([
    ['klCoef 0.01', 2],
    ['klCoef 0.01', 3],
    ['klCoef 0.5', 2],
    ['klCoef 0.5', 3],
  ]);
  // Versions of one run are judged each for itself: the first is not the newest, from which a run's name alone would sample.
  const [at2, at3] = results.points as [(typeof results.points)[0], (typeof results.points)[0]];
  expect(newest.get(at2.run)!.version).toBe(3);
  expect([at2.reward, at2.kl]).not.toEqual([at3.reward, at3.kl]);
  expect(at3.cost.tokensGenerated).toBeGreaterThan(at2.cost.tokensGenerated);
  for (const { kl, reward, length, cost } of results.points) {
    expect([kl, reward, length].every(Number.isFinite)).toBe(true);
    expect(cost.tokensTrained).toBeGreaterThan(cost.tokensGenerated);
  }
  expect(results.fronts).toHaveLength(1);
  expect(results.reference!.length).toBeGreaterThan(0);
});

it('a version that a run did not publish is refused by the run that asks for it, with those that there are', async () => {
  const plan = parseFrontier(
    {
      frontier: 'early',
      members: {
        ppo: {
          run: {
            ...tinyPpo(data, 'run:sft'),
            run: undefined,
            seed: undefined,
            steps: 3,
            stopWhen: { metric: 'lr', above: -1 },
          },
        },
      },
      evaluate: {
        every: 2,
        prompts: data,
        reference: 'run:sft',
        scorers: [`gold:${data}`],
        batchSize: 2,
        allow: { cut: 1 },
      },
    },
    'early',
  );
  const runs = await carryOut(platform, runSetOf(plan), {
    parallel: 1,
    signal: new AbortController().signal,
  });
  const { failed } = await measure(platform, plan, runs);
  expect(failed.map(({ run }) => run)).toEqual(['early.ppo.s0.at-2', 'early.ppo.s0.at-3']);
  expect(failed[0]!.cause).toMatch(
    /expected run early\.ppo\.s0 to have version 2, which it did not publish; it published 0, 1/,
  );
});
