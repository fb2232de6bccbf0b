import { readdir, readFile, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { sha256Of } from '../manifest.js';
import { type Harness, refOf } from './harness.js';

export function verificationTests(harness: Harness): void {
  describe('verification', () => {
    it('names a file whose bytes changed', async () => {
      const ref = await harness.open().putFiles({ 'model.safetensors': 'weights', ok: 'ok' });
      await harness.underTest.tamper('blob', sha256Of('weights'), 'wrights');
      await expect(harness.open().fetch(ref)).rejects.toMatchObject({
        code: 'ARTIFACT_CORRUPT',
        message: expect.stringMatching(`model.safetensors.*${sha256Of('weights')}.*${sha256Of('wrights')}`),
      });
    });

    it('recovers from a truncated file when the artifact is put again', async () => {
      const ref = await harness.open().putFiles({ 'model.safetensors': 'weights', ok: 'ok' });
      await harness.underTest.tamper('blob', sha256Of('weights'), 'weigh');
      await expect(harness.open().fetch(ref)).rejects.toMatchObject({ code: 'ARTIFACT_CORRUPT' });
      await harness.open().putFiles({ 'model.safetensors': 'weights', ok: 'ok' });
      const fetched = await harness.open().fetch(ref);
      expect(await readFile(join(fetched, 'model.safetensors'), 'utf8')).toBe('weights');
    });

    it('lays a folder out again when files were added or removed there', async () => {
      const store = harness.open();
      const ref = await store.putFiles({ weights: 'weights', config: '{}' });
      const fetched = await store.fetch(ref);
      await writeFile(join(fetched, 'added'), 'x');
      await unlink(join(fetched, 'config'));
      expect((await readdir(await harness.open().fetch(ref))).sort()).toEqual(['config', 'weights']);
    });

    it('finds a damaged manifest and a missing file', async () => {
      const damaged = await harness.open().putFiles({ a: '1' });
      const incomplete = await harness.open().putFiles({ b: '2' });
      await harness.underTest.tamper('manifest', damaged.sha256, '{}');
      await harness.underTest.tamper('blob', sha256Of('2'), undefined);
      await expect(harness.open().fetch(damaged)).rejects.toMatchObject({ code: 'ARTIFACT_CORRUPT' });
      await expect(harness.open().fetch(incomplete)).rejects.toMatchObject({
        code: 'ARTIFACT_CORRUPT',
        message: expect.stringContaining('file b'),
      });
    });

    it('trusts no names in a manifest', async () => {
      const text = `{"../../escaped":{"sha256":"${sha256Of('x')}","size":1}}`;
      const ref = await harness.open().putFiles({ x: 'x' });
      const hostile = refOf(sha256Of(text));
      await harness.underTest.tamper('manifest', hostile.sha256, text);
      await expect(harness.open().fetch(hostile)).rejects.toMatchObject({ code: 'ARTIFACT_CORRUPT' });
      expect(await harness.open().has(ref)).toBe(true);
    });
  });
}
