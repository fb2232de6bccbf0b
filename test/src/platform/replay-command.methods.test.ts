import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { command, commandProcess } from './command.js';
import { tinyPpo, tinySft, writeReviews } from './tiny-runs.js';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'replay-command-'));
  const data = await writeReviews(folder);
  // JSON is YAML.
  const runs = [tinySft(data), tinyPpo(data, 'run:sft')].map((config) => JSON.stringify(config));
  await writeFile(join(folder, 'runs.yaml'), runs.join('\n---\n'));
  expect(await train('run', 'runs.yaml')).toMatchObject({ code: 0 });
}, 120_000);
afterAll(() => rm(folder, { recursive: true }));

const train = (...words: string[]) => commandProcess(folder, [...words, '--directory', 'data']);
const rlhfStreams = (...words: string[]) => command(folder, [...words, '--directory', 'data']);

it('replay tells of every version that it came out the same, also when what no run needs is collected', async () => {
  const first = await train('replay', 'ppo');
  expect(first.code).toBe(0);
  expect(first.stdout).toContain('replay of ppo as ppo-replay-1');
  expect(first.stdout.match(/^version +\d+ +[0-9a-f]{64} {2}the same$/gm)).toHaveLength(7);
  expect(first.stdout).toContain('7 of 7 versions of run ppo compared');

  const told = await rlhfStreams('artifacts', 'gc', '--grace', '0', '--dry-run');
  const gone = await rlhfStreams('artifacts', 'gc', '--grace', '0');
  expect(told.stdout).toMatch(/^Would remove [1-9]\d* artifacts and [1-9]\d* files of \d+\.\d MB; /);
  expect(gone.stdout).toBe(told.stdout.replace('Would remove', 'Removed'));
  expect((await rlhfStreams('artifacts', 'gc', '--grace', '0')).stdout).toMatch(
    /^Removed 0 artifacts and 0 files /,
  );

  const second = await train('replay', 'ppo', '--set', 'steps=2', '--set', 'ppo.klCoef=.1');
  expect(second.code).toBe(0);
  expect(second.stdout).toMatch(/replay of ppo as ppo-replay-2 +2\/2 steps/);
  expect(second.stdout).toMatch(/^setting +ppo +ppo-replay-2\n-+\nsteps +6 +2\nppo\.klCoef +\S+ +0\.1\n$/m);
  expect(second.stdout).toMatch(
    /^metric of the last step +ppo +ppo-replay-2 +step\n(.*\n)*objective\/kl +\S+ +\S+ +6, 2$/m,
  );
  expect(await readdir(join(folder, 'data', 'tmp'))).toEqual([]);
}, 120_000);
