import { mkdir, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type Harness, nowhere, refOf } from './harness.js';

export function doorTests(harness: Harness): void {
  describe('the door', () => {
    it('refuses names that are no safe relative paths', async () => {
      const names = [
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
      ];
      for (const name of [...names, 'x'.repeat(256)]) {
        await expect(harness.open().putFiles({ [name]: 'x' }), JSON.stringify(name)).rejects.toMatchObject({
          code: 'ARTIFACT_BAD_NAME',
        });
      }
      await expect(harness.open().putFiles({ a: 'x', 'a/b': 'x' })).rejects.toMatchObject({
        code: 'ARTIFACT_BAD_NAME',
      });
    });

    it('refuses nothing at all, what is no file, and bad references', async () => {
      const source = join(harness.folder, 'odd');
      await mkdir(source);
      await expect(harness.open().putDirectory(source)).rejects.toMatchObject({ code: 'ARTIFACT_EMPTY' });
      await symlink('/nowhere', join(source, 'dangling'));
      await expect(harness.open().putDirectory(source)).rejects.toMatchObject({ code: 'ARTIFACT_BAD_NAME' });
      await expect(harness.open().putDirectory(join(harness.folder, 'missing'))).rejects.toMatchObject({
        code: 'ARTIFACT_NOT_FOUND',
      });
      await expect(harness.open().fetch(nowhere)).rejects.toMatchObject({ code: 'ARTIFACT_NOT_FOUND' });
      for (const bad of ['../../etc', 'F'.repeat(64)]) {
        await expect(harness.open().fetch(refOf(bad))).rejects.toMatchObject({ code: 'ARTIFACT_BAD_REF' });
        await expect(harness.open().has(refOf(bad))).rejects.toMatchObject({ code: 'ARTIFACT_BAD_REF' });
        await expect(harness.open().remove(refOf(bad))).rejects.toMatchObject({ code: 'ARTIFACT_BAD_REF' });
        await expect(harness.open().collect([refOf(bad)])).rejects.toMatchObject({
          code: 'ARTIFACT_BAD_REF',
        });
      }
    });
  });
}
