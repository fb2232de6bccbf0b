/** What `npm run build` does before it compiles. */
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, expect, it } from 'vitest';

const module = new URL('../../../infra/forget-deleted-sources.mjs', import.meta.url).href;
const root = await mkdtemp(join(tmpdir(), 'checkout-'));
afterAll(() => rm(root, { recursive: true }));

async function write(...paths: string[]): Promise<void> {
  for (const path of paths) {
    await mkdir(dirname(join(root, path)), { recursive: true });
    await writeFile(join(root, path), '');
  }
}

it('removes what was compiled of deleted sources, and keeps what was compiled of those beside src', async () => {
  await write('libs/a/src/x.ts', 'libs/a/examples/loop.ts', 'services/b/src/y.ts');
  const kept = ['libs/a/dist/x.js', 'libs/a/dist/examples/loop.js', 'services/b/dist/y.js'];
  const deleted = ['libs/a/dist/x.test.js', 'libs/a/dist/examples/old.js', 'services/b/dist/folder/y.js'];
  await write(...kept, ...deleted);
  const { forgetDeletedSources } = await import(module);
  forgetDeletedSources(root);
  expect(kept.filter((path) => existsSync(join(root, path)))).toEqual(kept);
  expect(deleted.filter((path) => existsSync(join(root, path)))).toEqual([]);
});
