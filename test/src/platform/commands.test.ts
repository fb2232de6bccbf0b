import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { followRun, openClient, requestRun, startPlatform } from 'rlhf-streams';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { command } from './command.js';
import { oneThread, tinyPpo, tinySft, writeReviews } from './tiny-runs.js';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'commands-'));
  const data = await writeReviews(folder);
  const platform = await startPlatform({
    directory: join(folder, 'data'),
    logLevel: 'silent',
    environment: oneThread,
  });
  for (const config of [tinySft(data), tinyPpo(data, 'run:sft')]) {
    const short = { ...config, steps: 1 };
    await requestRun(platform, short);
    await followRun(platform, short.run, {});
  }
  await platform.close();
});
afterAll(() => rm(folder, { recursive: true }));

const rlhfStreams = (...words: string[]) => command(folder, [...words, '--directory', 'data']);

it('cancel ends a run that nobody works for, and none that has ended', async () => {
  const client = await openClient({ directory: join(folder, 'data') });
  await requestRun(client, { ...tinySft(join(folder, 'reviews.jsonl')), run: 'left' });
  await client.close();
  expect(await rlhfStreams('cancel', 'left')).toMatchObject({ code: 0, stdout: 'run left is cancelled\n' });
  const { code, stderr } = await rlhfStreams('cancel', 'sft');
  expect(stderr).toMatch(/run sft has completed: nothing is left to cancel.*RUN_ENDED/);
  expect(code).toBe(2);
});

it.each([
  [['replay', 'ppo', '--set', 'sampling.temperature=2'], /another sampling\.temperature.*CLI_REPLAY_REFUSED/],
  [
    ['replay', 'ppo', '--set', 'ppo.klCoef=much'],
    /ppo\.klCoef: expected number of at least 0, got 'much'.*CLI_REPLAY_REFUSED/s,
  ],
  [['replay', 'ppo', '--set', 'ppo.klCoef'], /path=value/],
  [['replay', 'nowhere'], /got nowhere; there are: .*ppo/],
  [['replay', 'sft', '--as', 'ppo'], /CLI_RUN_EXISTS/],
])('%j is refused with exit code 2', async (args, said) => {
  const { code, stderr } = await rlhfStreams(...args);
  expect(stderr).toMatch(said);
  expect(code).toBe(2);
});
