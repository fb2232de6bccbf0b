import { mkdir, mkdtemp, readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  replaceFolder,
  sweepBeside,
  temporaryBeside,
  writeFileAtomically,
  writeFolderAtomically,
} from './atomic.js';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'files-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

/** Contents that end in an error, as those of a download that breaks. */
async function* broken(): AsyncGenerator<Uint8Array> {
  yield Buffer.from('half of it');
  throw new Error('broken');
}

describe('writeFileAtomically', () => {
  it('replaces a file, by text or by pieces', async () => {
    const path = join(folder, 'state.json');
    await writeFileAtomically(path, 'old');
    await writeFileAtomically(path, [Buffer.from('n'), Buffer.from('ew')]);
    expect(await readFile(path, 'utf8')).toBe('new');
    expect(await readdir(folder)).toEqual(['state.json']);
  });

  it('leaves the old file, and nothing beside it, when writing fails', async () => {
    const path = join(folder, 'state.json');
    await writeFileAtomically(path, 'old');
    await expect(writeFileAtomically(path, broken())).rejects.toThrow('broken');
    expect(await readFile(path, 'utf8')).toBe('old');
    expect(await readdir(folder)).toEqual(['state.json']);
  });
});

describe('writeFolderAtomically', () => {
  it('makes a folder of files, with the folders above it', async () => {
    const path = join(folder, 'checkpoints', '7');
    await writeFolderAtomically(path, new Map([['config.json', '{}']]));
    expect(await readFile(join(path, 'config.json'), 'utf8')).toBe('{}');
  });

  it('leaves what is there, and nothing beside it', async () => {
    const path = join(folder, '7');
    await writeFolderAtomically(path, new Map([['a', 'old']]));
    const again = writeFolderAtomically(path, new Map([['a', 'new']]));
    await expect(again).rejects.toMatchObject({ code: expect.stringMatching(/ENOTEMPTY|EEXIST/) });
    await expect(writeFolderAtomically(join(folder, '8'), new Map([['a', broken()]]))).rejects.toThrow(
      'broken',
    );
    expect(await readdir(folder)).toEqual(['7']);
    expect(await readFile(join(path, 'a'), 'utf8')).toBe('old');
  });
});

it('replaceFolder is whole when several replace one folder', async () => {
  const target = join(folder, 'model');
  const staged = ['x', 'y', 'z'].map((name) => join(folder, 'staged', name));
  for (const path of staged) {
    await mkdir(path, { recursive: true });
    for (const file of ['one', 'two']) await writeFile(join(path, file), path);
  }
  await Promise.all(staged.map((path) => replaceFolder(path, target)));
  expect(await readFile(join(target, 'one'), 'utf8')).toBe(await readFile(join(target, 'two'), 'utf8'));
  expect((await readdir(folder)).sort()).toEqual(['model', 'staged']);
});

it('sweepBeside removes what a crash left once it is old, and nothing of others', async () => {
  const target = join(folder, 'model');
  const [old, young, others] = [
    temporaryBeside(target),
    temporaryBeside(target),
    temporaryBeside(`${target}s`),
  ];
  for (const path of [old, young, others]) await mkdir(path);
  for (const path of [old, others]) await utimes(path, 0, 0);
  await sweepBeside(target, 60_000);
  expect((await readdir(folder)).map((name) => join(folder, name)).sort()).toEqual([young, others].sort());
});
