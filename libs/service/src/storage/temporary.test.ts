import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type TemporaryFolders, temporaryFolders } from './temporary.js';

let parent: string;
let directory: string;
let folders: TemporaryFolders;
beforeEach(async () => {
  parent = await mkdtemp(join(tmpdir(), 'temporary-'));
  directory = join(parent, 'tmp');
  folders = temporaryFolders(directory);
});
afterEach(() => rm(parent, { recursive: true }));

describe('a temporary folder', () => {
  it('is there for the work alone', async () => {
    const [a, b] = await Promise.all(
      [1, 2].map((result) =>
        folders.use(async (folder) => {
          expect(await readdir(folder)).toEqual([]);
          await writeFile(join(folder, 'file'), '');
          return { folder, result };
        }),
      ),
    );
    expect([a!.result, b!.result]).toEqual([1, 2]);
    expect(a!.folder).not.toBe(b!.folder);
    await expect(
      folders.use(async (folder) => {
        await writeFile(join(folder, 'file'), '');
        throw new Error('no');
      }),
    ).rejects.toThrow('no');
    expect(await readdir(directory)).toEqual([]);
  });

  it('is not swept while its process works, and is when that was killed', async () => {
    const script = fileURLToPath(new URL('./temporary.test.child.js', import.meta.url));
    const child = spawn(process.execPath, [script, directory], { stdio: ['ignore', 'pipe', 'inherit'] });
    try {
      const [line] = (await once(child.stdout.setEncoding('utf8'), 'data')) as [string];
      await folders.use(async (own) => {
        await folders.sweep();
        expect((await readdir(directory)).sort()).toEqual([basename(line.trim()), basename(own)].sort());
      });
    } finally {
      child.kill('SIGKILL');
      await once(child, 'exit');
    }
    expect(await readdir(directory)).toHaveLength(1);
    await folders.sweep();
    expect(await readdir(directory)).toEqual([]);
  });
});

describe('sweeping', () => {
  const dayAgo = Date.now() / 1000 - 25 * 60 * 60;

  it('leaves what another machine may be using for a day', async () => {
    const [young, old] = ['elsewhere,7,boot%2F9,aaaaaa', 'elsewhere,7,boot%2F9,bbbbbb'] as const;
    for (const name of [young, old]) await mkdir(join(directory, name), { recursive: true });
    await utimes(join(directory, old), dayAgo, dayAgo);
    await folders.sweep();
    expect(await readdir(directory)).toEqual([young]);
  });

  it('leaves what is no temporary folder', async () => {
    const names = ['notes', 'a,b', '%,1,2,3'];
    for (const name of names) {
      await mkdir(join(directory, name), { recursive: true });
      await utimes(join(directory, name), dayAgo, dayAgo);
    }
    await folders.sweep();
    expect((await readdir(directory)).sort()).toEqual(names.sort());
  });

  it('is nothing where there is nothing', async () => {
    await folders.sweep();
    expect(await readdir(parent)).toEqual([]);
  });
});
