import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openDirectory } from './directory.js';

const options = { data: 'bundled', seed: 0, short: false };

let parent: string;
let directory: string;
beforeEach(async () => {
  parent = await mkdtemp(join(tmpdir(), 'quickstart-'));
  directory = join(parent, 'runs', 'quickstart');
});
afterEach(() => rm(parent, { recursive: true }));

const leaveResults = () => writeFile(join(directory, 'report.html'), 'results');

describe('a new experiment', () => {
  it('makes its folder', async () => {
    await openDirectory(directory, options, false);
    expect(await readdir(directory)).toEqual(['quickstart.json']);
  });

  it('takes an empty folder, and one of an earlier experiment, which it clears', async () => {
    await openDirectory(directory, options, false);
    await leaveResults();
    await openDirectory(directory, { ...options, seed: 1 }, false);
    expect(await readdir(directory)).toEqual(['quickstart.json']);
    await rm(join(directory, 'quickstart.json'));
    await openDirectory(directory, options, false);
  });

  it("never clears somebody else's folder", async () => {
    await writeFile(join(parent, 'thesis.tex'), 'ten years of work');
    await expect(openDirectory(parent, options, false)).rejects.toMatchObject({
      code: 'CLI_DIRECTORY_FOREIGN',
      message: expect.stringContaining('--directory'),
    });
    expect(await readdir(parent)).toEqual(['thesis.tex']);
  });
});

describe('an experiment that goes on', () => {
  it('keeps what is there', async () => {
    await openDirectory(directory, options, false);
    await leaveResults();
    await openDirectory(directory, options, true);
    expect(await readdir(directory)).toEqual(['quickstart.json', 'report.html']);
  });

  it('must be there', async () => {
    const error = openDirectory(directory, options, true);
    await expect(error).rejects.toMatchObject({
      code: 'CLI_NOTHING_TO_RESUME',
      message: expect.stringContaining('no experiment'),
    });
    expect(await readdir(parent)).toEqual([]);
  });

  it.each([
    ['seed', { seed: 1 }],
    ['data', { data: 'reviews.jsonl' }],
    ['length', { short: true }],
  ])('must be the same: not with another %s', async (_, change) => {
    await openDirectory(directory, options, false);
    await leaveResults();
    await expect(openDirectory(directory, { ...options, ...change }, true)).rejects.toMatchObject({
      code: 'CLI_NOTHING_TO_RESUME',
      message: expect.stringContaining(JSON.stringify(options)),
    });
    expect(await readdir(directory)).toContain('report.html');
  });
});
