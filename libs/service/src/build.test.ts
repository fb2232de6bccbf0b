import { cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { codeOf, thisBuild } from './build.js';

let root: string;
const write = async (path: string, text: string) => {
  await mkdir(dirname(join(root, path)), { recursive: true });
  await writeFile(join(root, path), text);
};
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'build-'));
  for (const name of ['libs/service', 'libs/model', 'services/optimizer']) {
    await write(`${name}/package.json`, '{ "version": "0.2.0" }');
    await write(`${name}/src/index.ts`, name);
  }
});
afterEach(() => rm(root, { recursive: true }));

it('is the same for the same code, wherever it lies and whatever was built, tested or left there', async () => {
  const { version, code } = codeOf(root);
  expect(version).toBe('0.2.0');
  expect(code).toMatch(/^[0-9a-f]{12}$/);
  await write('libs/model/src/index.test.ts', 'a test');
  await write('libs/model/src/tiny.test.support.ts', 'of a test');
  await write('libs/model/dist/index.js', 'built');
  await write('libs/removed/dist/index.js', 'left');
  expect(codeOf(root)).toEqual({ version, code });
  for (const kind of ['libs', 'services'])
    await cp(join(root, kind), join(root, 'copy', kind), { recursive: true });
  expect(codeOf(join(root, 'copy'))).toEqual({ version, code });
});

it.each([
  ['a source is changed', 'services/optimizer/src/index.ts', 'other'],
  ['a source is added', 'libs/model/src/deep/new.ts', ''],
  [
    'a dependency is pinned otherwise',
    'libs/model/package.json',
    '{ "version": "0.2.0", "dependencies": {} }',
  ],
])('is another when %s', async (_, path, text) => {
  const before = codeOf(root).code;
  await write(path, text);
  expect(codeOf(root).code).not.toBe(before);
});

it('of this process names its code, the platform, and what it computes with', () => {
  expect(thisBuild('1.30.0')).toEqual({
    version: expect.stringMatching(/^\d+\.\d+\.\d+/),
    code: expect.stringMatching(/^[0-9a-f]{12}$/),
    onnxruntime: '1.30.0',
    platform: `${process.platform}-${process.arch}`,
  });
});
