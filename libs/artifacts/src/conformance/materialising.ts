import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { sha256Of } from '../manifest.js';
import type { Harness } from './harness.js';

export function materialisingTests(harness: Harness): void {
  describe('materialise', () => {
    it('replaces what is there by a folder of its own', async () => {
      const store = harness.open();
      const ref = await store.putFiles({ 'a/b': 'new' });
      const target = join(harness.folder, 'out/model');
      await mkdir(join(target, 'old'), { recursive: true });

      await store.materialise(ref, target);
      expect(await readdir(target, { recursive: true })).toEqual(['a', 'a/b']);

      await writeFile(join(target, 'a/b'), 'changed by its owner');
      expect(await readFile(join(await harness.open().fetch(ref), 'a/b'), 'utf8')).toBe('new');
      await store.materialise(ref, target);
      expect(await readFile(join(target, 'a/b'), 'utf8')).toBe('new');
      expect(await readdir(join(harness.folder, 'out'))).toEqual(['model']);
    });

    it('is whole when several write to one place', async () => {
      const store = harness.open();
      const refs = await Promise.all(
        ['x', 'y', 'z'].map((content) => store.putFiles({ one: content, two: content })),
      );
      const target = join(harness.folder, 'model');
      await Promise.all(refs.map((ref) => store.materialise(ref, target)));
      expect(await readFile(join(target, 'one'), 'utf8')).toBe(await readFile(join(target, 'two'), 'utf8'));
      expect(await readdir(harness.folder)).toEqual(['model']);
    });

    it('leaves the old folder when the artifact is damaged', async () => {
      const ref = await harness.open().putFiles({ weights: 'weights' });
      await harness.underTest.tamper('blob', sha256Of('weights'), 'damaged');
      const target = join(harness.folder, 'model');
      await mkdir(target);
      await writeFile(join(target, 'old'), 'old');
      await expect(harness.open().materialise(ref, target)).rejects.toMatchObject({
        code: 'ARTIFACT_CORRUPT',
      });
      expect(await readdir(target)).toEqual(['old']);
    });
  });
}
