import { mkdtemp, readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { temporaryBeside } from '@rlhf-streams/files';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { cachedFile } from './weight-cache.js';

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'weight-cache-'));
});
afterEach(() => rm(directory, { recursive: true }));

let made = 0;
const fileOf = (text: string, bytes = 0) =>
  cachedFile(
    { directory, bytes },
    {
      identity: text,
      size: 2 * text.length,
      contents: async function* () {
        made++;
        yield Buffer.from(text);
        yield Buffer.from(text);
      },
    },
  );
const old = (path: string) => utimes(path, 1, 1);

it('a file that many want at the same time is made once', async () => {
  made = 0;
  const paths = await Promise.all(Array.from({ length: 8 }, () => fileOf('abc')));
  expect(new Set(paths).size).toBe(1);
  expect(made).toBe(1);
  expect((await readFile(paths[0]!, 'utf8')).slice(0, 6)).toBe('abcabc');
  expect(await fileOf('abc')).toBe(paths[0]);
  expect(made).toBe(1);
});

it('what a maker left that was killed is not waited for, and goes', async () => {
  const path = await fileOf('abc');
  await rm(path);
  for (const left of [temporaryBeside(path), `${path}.claim`]) {
    await writeFile(left, 'ab');
    await old(left);
  }
  expect(await fileOf('abc')).toBe(path);
  expect(await readdir(directory)).toEqual([basename(path)]);
});

it('above its bytes, files go that were not used for an hour, the longest unused first', async () => {
  const paths = [];
  for (const text of ['a', 'b', 'c']) paths.push(await fileOf(text, 100));
  const [a, b, c] = paths.map((path) => basename(path)) as [string, string, string];
  await old(join(directory, a));
  await utimes(join(directory, b), 2, 2);
  // Each has 2 bytes and a checksum of 4.
  const d = basename(await fileOf('d', 18));
  expect((await readdir(directory)).sort()).toEqual([b, c, d].sort());
  const e = basename(await fileOf('e', 0));
  expect((await readdir(directory)).sort()).toEqual([c, d, e].sort());
});

it('a file that is there is used, however old it is', async () => {
  const path = await fileOf('a', 0);
  await old(path);
  made = 0;
  await fileOf('a', 0);
  await fileOf('b', 0);
  expect(made).toBe(1);
  expect(await readdir(directory)).toHaveLength(2);
});

it('contents that fail leave nothing', async () => {
  const broken = cachedFile(
    { directory, bytes: 0 },
    {
      identity: 'broken',
      size: 3,
      // biome-ignore lint/correctness/useYield: it fails before
      contents: async function* () {
        throw new Error('broken');
      },
    },
  );
  await expect(broken).rejects.toThrow('broken');
  expect(await readdir(directory)).toEqual([]);
});
