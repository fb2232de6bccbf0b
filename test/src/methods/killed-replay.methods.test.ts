import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { type Fact, live, versionsIn } from '../crash/life.js';
import { tinyPpo, writeReviews } from '../platform/tiny-runs.js';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'crash-'));
});
afterEach(() => rm(folder, { recursive: true }));

it('a replay whose process is killed again and again reproduces every version', async () => {
  const ppo = { ...tinyPpo(await writeReviews(folder)), checkpointEvery: 4 };
  const life = { directory: join(folder, 'log'), facts: new Map<string, Fact>() };
  expect(await live({ ...life, runs: [ppo] })).toBe('completed');

  const runs = [ppo, { ...ppo, run: 'again', replay: 'ppo' }];
  const before = life.facts.size;
  // Its request and its start are first, then come its versions and its steps.
  for (const facts of [2, 11]) {
    const end = { facts: before + facts, delayMs: 0, signal: 'SIGKILL' as const };
    expect(await live({ ...life, runs, end })).toBe('SIGKILL');
  }
  expect(await live({ ...life, runs })).toBe('completed');

  // What the killed processes left under way is gone.
  expect(await readdir(join(life.directory, 'tmp'))).toEqual([]);

  const versions = versionsIn(life.facts);
  const of = (run: string) => versions.filter((version) => version.startsWith(`${run} `));
  expect(of('ppo')).toHaveLength(7);
  expect(of('again')).toEqual(of('ppo').map((version) => version.replace('ppo', 'again')));
}, 120_000);
