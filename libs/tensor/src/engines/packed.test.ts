import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type StoredTensors, sizeOf } from '../engine.js';
import { readStored } from './frozen.js';
import { packedContents, packedTensors, productsOf } from './packed.js';
import { D, F, opened, program, state, V } from './packed.test.support.js';

let folder: string;
let plain: StoredTensors;
let packed: StoredTensors;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'packed-'));
  const offsets: Record<string, number> = {};
  const parts: Uint8Array[] = [];
  let at = 0;
  for (const [name, { shape }] of Object.entries(state)) {
    offsets[name] = at;
    const values = Float32Array.from({ length: sizeOf(shape) }, (_, i) => Math.sin(i * 0.7 + at) / 16);
    parts.push(new Uint8Array(values.buffer));
    at += values.byteLength;
  }
  plain = { file: join(folder, 'plain'), offsets };
  await writeFile(plain.file, Buffer.concat(parts));
  const file = join(folder, 'packed');
  await writeFile(file, packedContents(plain, state, productsOf(program(2), state)));
  // What keeps the file may put a checksum behind it.
  await writeFile(file, 'abcd', { flag: 'a' });
  packed = await packedTensors(file);
});
afterAll(() => rm(folder, { recursive: true }));

it('has all tensors as they were, and finds which of them are for products', async () => {
  expect(productsOf(program(2), state)).toEqual(
    new Map([
      ['wide', { transposed: false }],
      ['back', { transposed: true }],
      ['table', { transposed: true }],
    ]),
  );
  expect(readStored(packed, state)).toEqual(readStored(plain, state));
  expect(Object.keys(packed.packed!).sort()).toEqual(['back', 'table', 'wide']);
});

it('gives the numbers of matrices that each session lays out, of a row beside any others, one alone too', async () => {
  const [shared, own] = [
    await opened({ hash: 'packed', stored: packed }),
    await opened({ hash: 'plain', stored: plain }),
  ];
  const all = await shared.run(32);
  expect(await own.run(32)).toEqual(all);
  for (const rows of [1, 2, 9]) expect(await shared.run(rows)).toEqual(all.subarray(0, rows * V));
  await Promise.all([shared.dispose(), own.dispose()]);
});

it.runIf(process.platform === 'linux')('takes no memory of a session for the matrices', async () => {
  const child = fileURLToPath(new URL('./packed.test.child.js', import.meta.url));
  // Else the C library may keep what a session takes for a moment, and one process grows by what another does not.
  const env = { ...process.env, MALLOC_MMAP_THRESHOLD_: '1000000' };
  const { stdout } = await promisify(execFile)(process.execPath, [child, packed.file], { env });
  expect(Number(stdout)).toBeLessThan((4 * (V * D + 2 * D * F)) / 1e6);
});

it('refuses a file of something else', async () => {
  await expect(packedTensors(plain.file)).rejects.toMatchObject({ code: 'TENSOR_BAD_INPUT' });
});
