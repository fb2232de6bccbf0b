import { randomBytes } from 'node:crypto';
import { mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { sha256Of } from '../manifest.js';
import type { Harness } from './harness.js';

export function puttingTests(harness: Harness): void {
  describe('put and fetch', () => {
    it('returns the files of a folder byte for byte', async () => {
      const weights = randomBytes(3_000_000);
      const source = join(harness.folder, 'model');
      await mkdir(join(source, 'nested/deep'), { recursive: true });
      await writeFile(join(source, 'config.json'), '{}');
      await writeFile(join(source, 'empty'), '');
      await writeFile(join(source, 'nested/deep/model.safetensors'), weights);
      await symlink(join(source, 'config.json'), join(source, 'linked.json'));

      const ref = await harness.open().putDirectory(source);
      const fetched = await harness.open().fetch(ref);

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

    it('puts nothing when it is aborted', async () => {
      const source = join(harness.folder, 'model');
      await mkdir(source);
      await writeFile(join(source, 'model.safetensors'), randomBytes(1_000_000));
      const signal = AbortSignal.abort(new Error('no longer wanted'));
      await expect(harness.open().putDirectory(source, { signal })).rejects.toThrow();
      expect(await harness.underTest.list('blob')).toEqual([]);
    });

    it('names a folder and the same files alike, by the hash of the canonical manifest', async () => {
      const source = join(harness.folder, 'model');
      await mkdir(join(source, 'b'), { recursive: true });
      await writeFile(join(source, '10'), 'ten');
      await writeFile(join(source, 'b/2'), 'two');
      const files = { 'b/2': 'two', '10': Buffer.from('ten') };

      const ref = await harness.open().putDirectory(source);

      expect(await harness.open().putFiles(files)).toEqual(ref);
      expect(ref.sha256).toBe(
        sha256Of(
          `{"10":{"sha256":"${sha256Of('ten')}","size":3},"b/2":{"sha256":"${sha256Of('two')}","size":3}}`,
        ),
      );
    });

    it('keeps equal content once', async () => {
      const store = harness.open();
      await store.putFiles({ one: 'same', two: 'same', three: 'other' });
      await harness.open().putFiles({ again: 'same' });
      expect(await harness.underTest.list('blob')).toHaveLength(2);
    });

    it('puts the same content concurrently, from several stores', async () => {
      const files = { 'a.bin': randomBytes(1_000_000), 'b/c.bin': randomBytes(100_000) };
      const refs = await Promise.all(Array.from({ length: 8 }, () => harness.open().putFiles(files)));
      expect(new Set(refs.map(({ sha256 }) => sha256)).size).toBe(1);
      const folders = await Promise.all(Array.from({ length: 8 }, () => harness.open().fetch(refs[0]!)));
      for (const folder of folders)
        expect(files['a.bin'].equals(await readFile(join(folder, 'a.bin')))).toBe(true);
      expect(await harness.underTest.list('blob')).toHaveLength(2);
    });

    it('knows what it has, and forgets what is removed', async () => {
      const store = harness.open();
      const ref = await store.putFiles({ a: 'a' });
      await store.fetch(ref);
      expect(await harness.open().has(ref)).toBe(true);
      await store.remove(ref);
      expect(await harness.open().has(ref)).toBe(false);
      await expect(store.fetch(ref)).rejects.toMatchObject({ code: 'ARTIFACT_NOT_FOUND' });
      expect(await store.putFiles({ a: 'a' })).toEqual(ref);
      expect(await readFile(join(await store.fetch(ref), 'a'), 'utf8')).toBe('a');
    });
  });
}
