import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { checkData } from './check-data.js';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'check-data-'));
});
afterEach(() => rm(folder, { recursive: true }));

const check = async (rows: readonly object[]) => {
  const path = join(folder, 'rows.jsonl');
  await writeFile(path, rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
  await checkData(path);
};
const labelled = (positive: number, negative: number) =>
  Array.from({ length: positive + negative }, (_, i) => ({
    text: `Film ${i} was a great piece`,
    label: i < positive ? 1 : 0,
  }));

it('takes the bundled corpus, and texts of both labels', async () => {
  await checkData('bundled');
  await check(labelled(10, 10));
});

it.each<[string, object[], string]>([
  [
    'no labels',
    labelled(10, 10).map(({ text }) => ({ text })),
    'rows of {text, label}, label 0 or 1, got text rows',
  ],
  ['one label', labelled(40, 0), 'got 40 of label 1 and 0 of label 0'],
  ['the other label', labelled(0, 40), 'got 0 of label 1 and 40 of label 0'],
  ['too few of a label', labelled(9, 40), 'at least 10 texts of each label'],
  [
    'texts that all begin alike',
    labelled(20, 20).map((row) => ({ ...row, text: 'A b c d e' })),
    'got 1 that differ',
  ],
  [
    'texts too short for a prompt',
    labelled(20, 20).map((row, i) => ({ ...row, text: `w${i} x` })),
    'got 0 that differ',
  ],
])('refuses %s', async (_, rows, said) => {
  await expect(check(rows)).rejects.toMatchObject({
    code: 'CLI_DATA_UNFIT',
    message: expect.stringContaining(said),
  });
});

it('refuses what cannot be read, with the whole path', async () => {
  await expect(checkData('nofile.jsonl')).rejects.toMatchObject({
    code: 'DATA_NOT_FOUND',
    message: expect.stringContaining(join(process.cwd(), 'nofile.jsonl')),
  });
});
