/** What became of a run's rows, from files to what everybody reads of the run. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { DataFor } from '@rlhf-streams/events';
import type { RunConfigInput } from '@rlhf-streams/runs';
import { followRun, type Platform, requestRun, startPlatform } from 'rlhf-streams';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { oneThread, tinyDpo, tinyPpo, tinySft, writeReviews } from './tiny-runs.js';

let folder: string;
let reviews: string;
let platform: Platform;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'data-'));
  platform = await startPlatform({
    directory: join(folder, 'log'),
    logLevel: 'silent',
    environment: oneThread,
  });
  reviews = await writeReviews(folder);
  await complete({ ...tinySft(reviews), steps: 1 });
});
afterAll(async () => {
  await platform.close();
  await rm(folder, { recursive: true });
});

/** Completes a run, and returns the data of its `run.started`. */
async function complete(config: RunConfigInput): Promise<DataFor<'run.started'>> {
  const started: DataFor<'run.started'>[] = [];
  await requestRun(platform, config);
  await followRun(platform, config.run, { started: (data) => void started.push(data) });
  return started[0]!;
}

async function file(name: string, rows: readonly object[] | string): Promise<string> {
  const path = join(folder, name);
  const text = typeof rows === 'string' ? rows : rows.map((row) => `${JSON.stringify(row)}\n`).join('');
  await writeFile(path, text);
  return path;
}

const dpo = (run: string, data: string, change: object = {}): RunConfigInput => ({
  ...tinyDpo(),
  run,
  data,
  steps: 1,
  testFraction: 0,
  allow: {},
  ...change,
});

const pair = (i: number) => ({ prompt: `Film ${i} was`, chosen: ' fine', rejected: ' dull' });
const long = (i: number) => ({ ...pair(i), chosen: ' fine'.repeat(40) });

describe('a run', () => {
  it('that would lose most of its rows is refused before it starts, and accepted when that is allowed', async () => {
    const rows = [
      ...Array.from({ length: 16 }, (_, i) => pair(i)),
      ...Array.from({ length: 48 }, (_, i) => long(i)),
    ];
    const data = await file('pairs.jsonl', rows);
    await expect(complete(dpo('lossy', data))).rejects.toMatchObject({
      message: expect.stringMatching(
        /48 of the 64 rows of .*pairs\.jsonl would be dropped, 75 % where 5 % may be: longer than the context of 32 tokens \(48\).*allow: \{ dropped: 0\.75 \}$/,
      ),
      cause: { code: 'RUN_DATA_LOST' },
    });
    expect(await complete(dpo('allowed', data, { allow: { dropped: 0.75 } }))).toMatchObject({
      data: { read: 64, used: 16, cut: 0, dropped: { 'longer than the context of 32 tokens': 48 } },
    });
  });

  it.each([
    [
      'tied',
      { prompt: 'Film', completions: ['a', 'b', 'c', 'd'], ranks: [1, 1, 1, 1] },
      /every ranking is a tie/,
    ],
    ['same', { prompt: 'Film', chosen: 'a', rejected: 'a' }, /chosen and rejected are the same text/],
  ])('whose rows have no preference is refused: %s', async (run, row, message) => {
    const data = await file(`${run}.jsonl`, Array(20).fill(row));
    await expect(complete(dpo(run, data))).rejects.toThrow(message);
  });

  it.each([
    ['unlabelled', { text: 'good' }, /unlabelled\.jsonl: expected rows of \{text, label\}.*got text rows/],
    ['one-sided', { text: 'good', label: 1 }, /one-sided\.jsonl: expected texts of both labels, got 20 rows/],
  ])('with a gold reward of data that are %s is refused', async (run, row, message) => {
    const gold = await file(`${run}.jsonl`, Array(20).fill(row));
    await expect(complete({ ...tinyPpo(reviews), run, scorers: [`gold:${gold}`] })).rejects.toThrow(message);
  });

  it('takes ranks that begin at 0 from a CSV file, and rows of a saved dataset', async () => {
    const csv = await file('rankings.csv', 'prompt,completions,ranks\nFilm,"["" a"", "" b""]","[1, 0]"\n');
    expect(await complete(dpo('csv', csv))).toMatchObject({ data: { read: 1, used: 1 } });
    const saved = fileURLToPath(new URL('../../../libs/data/fixtures/saved/splits', import.meta.url));
    expect(await complete(dpo('saved', saved))).toMatchObject({ data: { read: 2, used: 2 } });

    const ranks: number[][] = [];
    for await (const { data } of platform.events.readAll(['comparisons']))
      if (data.run === 'csv') ranks.push(data.ranks);
    expect(new Set(ranks.map(String))).toEqual(new Set(['2,1']));
  });
});
