import { mkdir, mkdtemp, readdir, realpath, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { checkedTarget } from './target.js';

const FILES = ['config.json', 'model.safetensors', 'extra/notes.txt'];

let folder: string;
let target: string;
beforeEach(async () => {
  folder = await realpath(await mkdtemp(join(tmpdir(), 'target-')));
  target = join(folder, 'model');
});
afterEach(() => rm(folder, { recursive: true }));

const write = async (...names: readonly string[]) => {
  for (const name of names) {
    await mkdir(join(target, name, '..'), { recursive: true });
    await writeFile(join(target, name), 'x');
  }
};
const refusal = (message: string) => expect.objectContaining({ code: 'CLI_EXPORT_REFUSED', message });

describe('a folder to export to', () => {
  it('may be missing, or empty, or what a link to an empty one leads to', async () => {
    expect(await checkedTarget(target, FILES, false)).toBe(target);
    await mkdir(target);
    expect(await checkedTarget(target, FILES, false)).toBe(target);
    await symlink(target, join(folder, 'link'));
    expect(await checkedTarget(join(folder, 'link'), FILES, false)).toBe(target);
  });

  it('with a model in it is replaced where that is asked for', async () => {
    await write('config.json', 'extra/notes.txt');
    await expect(checkedTarget(target, FILES, false)).rejects.toEqual(
      refusal(`expected ${target} to be empty, got a model: --force replaces it`),
    );
    expect(await checkedTarget(target, FILES, true)).toBe(target);
  });

  it.each([
    ['a file of another name', ['config.json', 'thesis.txt'], 'thesis.txt'],
    ['a folder', ['config.json', 'src/main.py'], 'src/'],
    ['another file in a folder of the model', ['extra/notes.txt', 'extra/more.txt'], 'extra/more.txt'],
    ['many', ['a', 'b', 'c', 'd', 'e', 'f', 'g'], 'a, b, c, d, e and 2 more'],
  ])('with what is no model in it is never replaced: %s', async (_, names, said) => {
    await write(...names);
    for (const force of [false, true]) {
      await expect(checkedTarget(target, FILES, force)).rejects.toEqual(
        refusal(`expected ${target} to be empty, got ${said}, which would be lost: name another folder`),
      );
    }
    expect((await readdir(target, { recursive: true })).length).toBeGreaterThanOrEqual(names.length);
  });

  it('may not be a link to nothing: the model would take its place', async () => {
    await symlink(join(folder, 'nothing'), target);
    for (const force of [true, false])
      await expect(checkedTarget(target, FILES, force)).rejects.toEqual(
        refusal(expect.stringContaining('a link to nothing')),
      );
  });

  it('may not be a file, be in one, or be where the command runs', async () => {
    await write('config.json');
    const file = join(target, 'config.json');
    await expect(checkedTarget(file, FILES, true)).rejects.toEqual(
      refusal(`expected ${file} to be a folder or nothing, got a file`),
    );
    await expect(checkedTarget(join(file, 'in'), FILES, true)).rejects.toThrow(/ENOTDIR/);
    for (const place of [process.cwd(), join(process.cwd(), '..')]) {
      await expect(checkedTarget(place, FILES, true)).rejects.toThrow(/where this command runs/);
    }
  });
});
