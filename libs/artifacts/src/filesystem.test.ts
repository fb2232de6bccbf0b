import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import {
  chmod,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  stat,
  symlink,
  unlink,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type ArtifactRef, filesystemArtifacts } from './index.js';
import { layoutOf } from './layout.js';
import { checkNames, serialiseManifest, sha256Of } from './manifest.js';

let folder: string;
let directory: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'artifacts-'));
  directory = join(folder, 'store');
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const open = () => filesystemArtifacts({ directory });
const refOf = (sha256: string): ArtifactRef => ({ uri: `artifact:${sha256}`, sha256 });
const nowhere = refOf('0'.repeat(64));

async function age(ref: ArtifactRef, ms: number): Promise<void> {
  const layout = layoutOf(directory);
  const then = new Date(Date.now() - ms);
  const paths = [layout.manifest(ref.sha256)];
  const manifest = JSON.parse(await readFile(paths[0]!, 'utf8')) as Record<string, { sha256: string }>;
  for (const { sha256 } of Object.values(manifest)) paths.push(layout.blob(sha256));
  for (const path of paths) await utimes(path, then, then);
}

async function overwrite(path: string, content: string): Promise<void> {
  await chmod(path, 0o644);
  await writeFile(path, content);
}

describe('put and fetch', () => {
  it('returns the files of a folder byte for byte', async () => {
    const weights = randomBytes(3_000_000);
    const source = join(folder, 'model');
    await mkdir(join(source, 'nested/deep'), { recursive: true });
    await writeFile(join(source, 'config.json'), '{}');
    await writeFile(join(source, 'empty'), '');
    await writeFile(join(source, 'nested/deep/model.safetensors'), weights);
    await symlink(join(source, 'config.json'), join(source, 'linked.json'));

    const ref = await open().putDirectory(source);
    const fetched = await open().fetch(ref);

    expect(ref.uri).toBe(`artifact:${ref.sha256}`);
    expect((await readdir(fetched, { recursive: true })).sort()).toEqual([
      'config.json',
      'empty',
      'linked.json',
      'nested',
      'nested/deep',
      'nested/deep/model.safetensors',
    ]);
    expect(weights.equals(await readFile(join(fetched, 'nested/deep/model.safetensors')))).toBe(true);
    expect(await readFile(join(fetched, 'linked.json'), 'utf8')).toBe('{}');
    expect((await readFile(join(fetched, 'empty'))).length).toBe(0);
  });

  it('names a folder and the same files alike, by the hash of the canonical manifest', async () => {
    const source = join(folder, 'model');
    await mkdir(join(source, 'b'), { recursive: true });
    await writeFile(join(source, '10'), 'ten');
    await writeFile(join(source, 'b/2'), 'two');
    const files = { 'b/2': 'two', '10': Buffer.from('ten') };

    const ref = await open().putDirectory(source);

    expect(await open().putFiles(files)).toEqual(ref);
    expect(ref.sha256).toBe(
      sha256Of(
        `{"10":{"sha256":"${sha256Of('ten')}","size":3},"b/2":{"sha256":"${sha256Of('two')}","size":3}}`,
      ),
    );
  });

  it('orders names by code unit, integer-like ones too', () => {
    const entry = { sha256: 'f'.repeat(64), size: 1 };
    const names = ['b', '10', 'a', '9', '__proto__', 'B'];
    const written = serialiseManifest(new Map(names.map((name) => [name, entry])));
    expect([...written.matchAll(/"([^"]+)":\{/g)].map((match) => match[1])).toEqual([
      '10',
      '9',
      'B',
      '__proto__',
      'a',
      'b',
    ]);
  });

  it('keeps equal content once', async () => {
    const store = open();
    await store.putFiles({ one: 'same', two: 'same', three: 'other' });
    await store.putFiles({ again: 'same' });
    expect(await layoutOf(directory).list('blob')).toHaveLength(2);
  });

  it('puts the same content concurrently, from several stores', async () => {
    const files = { 'a.bin': randomBytes(1_000_000), 'b/c.bin': randomBytes(100_000) };
    const refs = await Promise.all(Array.from({ length: 8 }, () => open().putFiles(files)));
    expect(new Set(refs.map(({ sha256 }) => sha256)).size).toBe(1);
    const folders = await Promise.all(Array.from({ length: 8 }, () => open().fetch(refs[0]!)));
    expect(files['a.bin'].equals(await readFile(join(folders[0]!, 'a.bin')))).toBe(true);
    expect(await layoutOf(directory).list('blob')).toHaveLength(2);
    expect(await readdir(join(directory, 'temporary'))).toEqual([]);
  });

  it('knows what it has, and forgets what is removed', async () => {
    const store = open();
    const ref = await store.putFiles({ a: 'a' });
    await store.fetch(ref);
    expect(await store.has(ref)).toBe(true);
    await store.remove(ref);
    expect(await store.has(ref)).toBe(false);
    await expect(store.fetch(ref)).rejects.toMatchObject({ code: 'ARTIFACT_NOT_FOUND' });
    expect(await store.putFiles({ a: 'a' })).toEqual(ref);
    expect(await readFile(join(await store.fetch(ref), 'a'), 'utf8')).toBe('a');
  });
});

describe('verification', () => {
  it('names a file whose bytes changed, and recovers when the artifact is put again', async () => {
    const ref = await open().putFiles({ 'model.safetensors': 'weights', ok: 'ok' });
    await overwrite(layoutOf(directory).blob(sha256Of('weights')), 'wrights');

    await expect(open().fetch(ref)).rejects.toMatchObject({
      code: 'ARTIFACT_CORRUPT',
      message: expect.stringMatching(`model.safetensors.*${sha256Of('weights')}.*${sha256Of('wrights')}`),
    });

    await open().putFiles({ 'model.safetensors': 'weights', ok: 'ok' });
    expect(await readFile(join(await open().fetch(ref), 'model.safetensors'), 'utf8')).toBe('weights');
  });

  it('finds damage in a folder fetched by an earlier process', async () => {
    const ref = await open().putFiles({ weights: 'weights' });
    const fetched = await open().fetch(ref);
    await overwrite(join(fetched, 'weights'), 'damaged');
    await expect(open().fetch(ref)).rejects.toMatchObject({ code: 'ARTIFACT_CORRUPT' });
  });

  it('lays a folder out again when files were added or removed there', async () => {
    const ref = await open().putFiles({ weights: 'weights', config: '{}' });
    const fetched = await open().fetch(ref);
    await writeFile(join(fetched, 'added'), 'x');
    await unlink(join(fetched, 'config'));
    expect((await readdir(await open().fetch(ref))).sort()).toEqual(['config', 'weights']);
  });

  it('finds a damaged manifest and a missing file', async () => {
    const layout = layoutOf(directory);
    const damaged = await open().putFiles({ a: '1' });
    const incomplete = await open().putFiles({ b: '2' });
    await overwrite(layout.manifest(damaged.sha256), '{}');
    await unlink(layout.blob(sha256Of('2')));
    await expect(open().fetch(damaged)).rejects.toMatchObject({ code: 'ARTIFACT_CORRUPT' });
    await expect(open().fetch(incomplete)).rejects.toMatchObject({
      code: 'ARTIFACT_CORRUPT',
      message: expect.stringContaining('file b'),
    });
  });

  it('trusts no names in a manifest', async () => {
    const layout = layoutOf(directory);
    const text = `{"../../escaped":{"sha256":"${sha256Of('x')}","size":1}}`;
    const ref = await open().putFiles({ x: 'x' });
    const hostile = refOf(sha256Of(text));
    await mkdir(join(layout.manifest(hostile.sha256), '..'), { recursive: true });
    await writeFile(layout.manifest(hostile.sha256), text);
    await expect(open().fetch(hostile)).rejects.toMatchObject({ code: 'ARTIFACT_CORRUPT' });
    expect(await open().has(ref)).toBe(true);
  });
});

describe('waiting', () => {
  it('shares one fetch, whose first caller may leave', async () => {
    const ref = await open().putFiles({ a: randomBytes(2_000_000) });
    const store = open();
    const leaving = new AbortController();
    const first = store.fetch(ref, { signal: leaving.signal });
    const second = store.fetch(ref);
    leaving.abort(new Error('left'));
    await expect(first).rejects.toThrow('left');
    expect(await second).toBe(layoutOf(directory).folder(ref.sha256));
  });

  it('begins anew after everybody left', async () => {
    const ref = await open().putFiles({ a: randomBytes(2_000_000) });
    const store = open();
    const leaving = new AbortController();
    const first = store.fetch(ref, { signal: leaving.signal });
    leaving.abort(new Error('left'));
    await expect(first).rejects.toThrow('left');
    await expect(store.fetch(ref)).resolves.toContain(ref.sha256);
  });

  it('gives up when the time is up', async () => {
    const ref = await open().putFiles({ a: randomBytes(5_000_000) });
    await expect(open().fetch(ref, { timeoutMs: 0 })).rejects.toMatchObject({ code: 'ARTIFACT_TIMEOUT' });
  });
});

describe('the door', () => {
  const bad = [
    '',
    '.',
    '..',
    '../x',
    'a/../b',
    '/etc/passwd',
    'a//b',
    'a/',
    'a\\b',
    'a\0b',
    'C:/x',
    '\ud800',
    'x'.repeat(256),
  ];
  it.each(bad)('refuses the name %j', async (name) => {
    await expect(open().putFiles({ [name]: 'x' })).rejects.toMatchObject({ code: 'ARTIFACT_BAD_NAME' });
  });

  it('refuses a name that is both file and folder', async () => {
    await expect(open().putFiles({ a: 'x', 'a/b': 'x' })).rejects.toMatchObject({
      code: 'ARTIFACT_BAD_NAME',
    });
  });

  it('accepts only names that stay inside their folder', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom('.', '/', '\\', 'a', ':', '\0', 'é') }), (name) => {
        try {
          checkNames([name]);
        } catch {
          return;
        }
        expect(join('/store/artifact', name).startsWith('/store/artifact/')).toBe(true);
      }),
    );
  });

  it('refuses nothing at all, what is no file, and bad references', async () => {
    const source = join(folder, 'odd');
    await mkdir(source);
    await expect(open().putDirectory(source)).rejects.toMatchObject({ code: 'ARTIFACT_EMPTY' });
    await symlink('/nowhere', join(source, 'dangling'));
    await expect(open().putDirectory(source)).rejects.toMatchObject({ code: 'ARTIFACT_BAD_NAME' });
    await expect(open().putDirectory(join(folder, 'missing'))).rejects.toMatchObject({
      code: 'ARTIFACT_NOT_FOUND',
    });
    await expect(open().fetch(nowhere)).rejects.toMatchObject({ code: 'ARTIFACT_NOT_FOUND' });
    await expect(open().fetch(refOf('../../etc'))).rejects.toMatchObject({ code: 'ARTIFACT_BAD_REF' });
  });
});

describe('materialise', () => {
  it('replaces what is there by a folder of its own', async () => {
    const store = open();
    const ref = await store.putFiles({ 'a/b': 'new' });
    const target = join(folder, 'out/model');
    await mkdir(join(target, 'old'), { recursive: true });

    await store.materialise(ref, target);
    expect(await readdir(target, { recursive: true })).toEqual(['a', 'a/b']);

    await writeFile(join(target, 'a/b'), 'changed by its owner');
    expect(await readFile(join(await open().fetch(ref), 'a/b'), 'utf8')).toBe('new');
    await store.materialise(ref, target);
    expect(await readFile(join(target, 'a/b'), 'utf8')).toBe('new');
    expect(await readdir(join(folder, 'out'))).toEqual(['model']);
  });

  it('is whole when several write to one place', async () => {
    const store = open();
    const refs = await Promise.all(
      ['x', 'y', 'z'].map((content) => store.putFiles({ one: content, two: content })),
    );
    const target = join(folder, 'model');
    await Promise.all(refs.map((ref) => store.materialise(ref, target)));
    expect(await readFile(join(target, 'one'), 'utf8')).toBe(await readFile(join(target, 'two'), 'utf8'));
    expect((await readdir(folder)).sort()).toEqual(['model', 'store']);
  });

  it('leaves the old folder when the artifact is damaged', async () => {
    const ref = await open().putFiles({ weights: 'weights' });
    await overwrite(layoutOf(directory).blob(sha256Of('weights')), 'damaged');
    const target = join(folder, 'model');
    await mkdir(target);
    await writeFile(join(target, 'old'), 'old');
    await expect(open().materialise(ref, target)).rejects.toMatchObject({ code: 'ARTIFACT_CORRUPT' });
    expect(await readdir(target)).toEqual(['old']);
  });
});

describe('collect', () => {
  const HOUR = 60 * 60 * 1000;

  it('removes what no live reference names, and only that', async () => {
    const store = open();
    const live = await store.putFiles({ shared: 'shared', mine: 'live' });
    const dead = await store.putFiles({ shared: 'shared', mine: 'dead' });
    await store.fetch(dead);

    expect(await store.collect([live, nowhere], { graceMs: 0 })).toEqual({
      artifacts: 1,
      blobs: 1,
      bytes: 4,
    });

    expect(await store.has(dead)).toBe(false);
    expect(await readdir(join(directory, 'folders'))).toEqual([]);
    expect(await readFile(join(await open().fetch(live), 'shared'), 'utf8')).toBe('shared');
  });

  it('spares what is younger than the grace period', async () => {
    const store = open();
    const old = await store.putFiles({ a: 'old', shared: 'shared' });
    const young = await store.putFiles({ a: 'young', shared: 'shared' });
    await age(old, 2 * HOUR);
    expect(await store.collect([])).toMatchObject({ artifacts: 1 });
    expect(await store.has(old)).toBe(false);
    await expect(open().fetch(young)).resolves.toBeDefined();
  });

  it('makes blobs young again when they are put again', async () => {
    const store = open();
    const old = await store.putFiles({ a: 'content' });
    await age(old, 2 * HOUR);
    const again = await store.putFiles({ b: 'content' });
    await store.collect([]);
    await expect(open().fetch(again)).resolves.toBeDefined();
  });

  it('never removes what a live reference names (any set of artifacts over few blobs)', async () => {
    const files = fc.dictionary(fc.constantFrom('a', 'b', 'c'), fc.constantFrom('1', '2', '3', '4'), {
      minKeys: 1,
    });
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.record({ files, live: fc.boolean() }), { maxLength: 8 }),
        async (artifacts) => {
          await rm(directory, { recursive: true, force: true });
          const store = open();
          const live = new Map<string, ArtifactRef>();
          for (const artifact of artifacts) {
            const ref = await store.putFiles(artifact.files);
            if (artifact.live) live.set(ref.sha256, ref);
          }
          await store.collect(live.values(), { graceMs: 0 });
          expect((await layoutOf(directory).list('manifest')).sort()).toEqual([...live.keys()].sort());
          for (const ref of live.values()) await open().fetch(ref);
        },
      ),
      { numRuns: 15 },
    );
  });

  it('removes nothing when a manifest that stays cannot be read', async () => {
    const store = open();
    const live = await store.putFiles({ a: 'live' });
    const dead = await store.putFiles({ a: 'dead' });
    await overwrite(layoutOf(directory).manifest(live.sha256), 'garbage');
    await expect(store.collect([live], { graceMs: 0 })).rejects.toMatchObject({ code: 'ARTIFACT_CORRUPT' });
    expect(await store.has(dead)).toBe(true);
    expect(await layoutOf(directory).list('blob')).toHaveLength(2);
  });
});

describe('crash', () => {
  it('leaves whole artifacts or none when the writer is killed', async () => {
    const child = fileURLToPath(new URL('./put-forever.test.child.js', import.meta.url));
    const announced = new Set<string>();
    for (const puts of [1, 2, 4]) {
      const writer = spawn(process.execPath, [child, directory], { stdio: ['ignore', 'pipe', 'inherit'] });
      const exit = once(writer, 'exit');
      let seen = 0;
      for await (const line of createInterface({ input: writer.stdout })) {
        announced.add(line);
        if (++seen === puts) writer.kill('SIGKILL');
      }
      expect(await exit).toEqual([null, 'SIGKILL']);
    }

    const found = await layoutOf(directory).list('manifest');
    expect(new Set(found)).toEqual(new Set([...found, ...announced]));
    for (const sha256 of found) await open().fetch(refOf(sha256));

    await open().collect([...announced].map(refOf), { graceMs: 0 });
    expect(await readdir(join(directory, 'temporary'))).toEqual([]);
    expect((await layoutOf(directory).list('manifest')).sort()).toEqual([...announced].sort());
    for (const sha256 of announced) {
      const fetched = await open().fetch(refOf(sha256));
      expect((await stat(join(fetched, 'weights/a.bin'))).size).toBe(2_000_000);
    }
  });
});
