import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Frozen, float32, int32, type Program, type StoredTensors, sizeOf } from '../engine.js';
import { readStored } from './frozen.js';
import { onnxEngine } from './onnx.js';
import { packedContents, packedTensors, productsOf } from './packed.js';

const [D, F, V] = [256, 4096, 8192] as const;
/** A matrix that is looked up and multiplied by, one that is transposed, one that has a sum behind it, one for no product. */
const state = {
  table: float32(V, D),
  wide: float32(D, F),
  back: float32(D, F),
  bias: float32(F),
  scale: float32(D),
};
const program = (rows: number): Program => ({
  inputs: { ids: int32(rows) },
  reads: Object.keys(state),
  constants: Object.keys(state),
  run: ({ table, wide, back, bias, scale }, { ids }) => {
    const x = tf.mul(tf.gather(table as tf.Tensor2D, ids as tf.Tensor1D), scale!);
    const inner = tf.add(tf.matMul(x, wide as tf.Tensor2D), bias!);
    const y = tf.matMul(inner as tf.Tensor2D, back as tf.Tensor2D, false, true);
    return { outputs: { y: tf.matMul(y, table as tf.Tensor2D, false, true) } };
  },
});

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

const opened = async (frozen: Frozen) => {
  const workspace = await onnxEngine().open(state, { frozen });
  await workspace.add(Object.fromEntries([1, 2, 9, 32].map((rows) => [`${rows}`, program(rows)])));
  const run = async (rows: number) => {
    const { y } = await workspace.run(`${rows}`, { ids: Int32Array.from({ length: rows }, (_, i) => 7 * i) });
    return y as Float32Array;
  };
  return { run, dispose: workspace.dispose };
};

/** Memory of the process that is no file's, in MB. */
const privateMegabytes = async () =>
  Number(/RssAnon:\s+(\d+)/.exec(await readFile('/proc/self/status', 'utf8'))![1]) / 1000;

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
  const megabytes = (4 * (V * D + 2 * D * F)) / 1e6;
  const taken: number[] = [];
  const spaces = [];
  // What else the process allocates meanwhile is not in all of them; copies of matrices would be.
  for (let time = 0; time < 3; time++) {
    const before = await privateMegabytes();
    const space = await opened({ hash: 'again', stored: packed });
    for (const rows of [1, 2, 9, 32]) await space.run(rows);
    taken.push((await privateMegabytes()) - before);
    spaces.push(space);
  }
  expect(Math.min(...taken)).toBeLessThan(megabytes);
  for (const { dispose } of spaces) await dispose();
});

it('refuses a file of something else', async () => {
  await expect(packedTensors(plain.file)).rejects.toMatchObject({ code: 'TENSOR_BAD_INPUT' });
});
