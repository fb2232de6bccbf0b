import { execFile } from 'node:child_process';
import {
  copyFile,
  mkdtemp,
  readdir,
  readFile,
  rm,
  stat,
  truncate,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { type Frozen, onnxEngine } from '@rlhf-streams/tensor';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { logprobScorer } from '../scoring.js';
import { type Checkpoint, readCheckpoint, readWeights } from './directory.js';
import { frozenWeights } from './frozen.js';
import type { TensorData } from './safetensors.js';
import { fixture, type Variant, writeVariant } from './variant.test.support.js';
import type { WeightCache } from './weight-cache.js';

let root: string;
let count = 0;
let gpt2: Checkpoint;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'frozen-'));
  gpt2 = await readCheckpoint(fixture('models/gpt2'));
});
afterAll(() => rm(root, { recursive: true }));

const newCache = (): WeightCache => ({ directory: join(root, `cache-${count++}`), bytes: 0 });

async function variant(options: Variant): Promise<string> {
  const dir = join(root, `model-${count++}`);
  await writeVariant(dir, options);
  return dir;
}

const items = [{ tokens: [1, 2, 3, 4, 5], temperature: 1 }];
async function score(weights: Frozen): Promise<number[]> {
  const scorer = logprobScorer(onnxEngine(), gpt2.config, weights);
  const [row] = await scorer.score(items);
  await scorer.dispose();
  return [...row!];
}

/** The values of a checkpoint, read into memory. */
async function readValues(dir: string): Promise<Frozen> {
  const values = [...(await readWeights(dir, gpt2.config))].map(([name, { data }]) => [name, data]);
  return { hash: `read ${dir}`, values: Object.fromEntries(values) };
}

const twice = (tensors: Map<string, TensorData>) =>
  tensors.set('lm_head.weight', tensors.get('transformer.wte.weight')!);

it.each<[string, Variant]>([
  ['as they are', {}],
  ['with a copy of the embedding', { change: twice }],
])('float32 weights of one file are used where they lie, %s', async (_, options) => {
  const dir = await variant(options);
  const cache = newCache();
  const frozen = await frozenWeights(dir, gpt2.config, dir, cache);
  expect(frozen).toMatchObject({ stored: { file: join(dir, 'model.safetensors') } });
  expect(await score(frozen)).toEqual(await score(await readValues(dir)));
  await expect(readdir(cache.directory)).rejects.toMatchObject({ code: 'ENOENT' });
});

it.each<[string, Variant]>([
  ['bfloat16', { dtype: 'BF16' }],
  ['float16', { dtype: 'F16' }],
  ['float64', { dtype: 'F64' }],
  ['sharded', { shards: 3 }],
  ['sharded bfloat16 with a copy of the embedding', { dtype: 'BF16', shards: 3, change: twice }],
])('%s weights are decoded into a file once', async (_, options) => {
  const dir = await variant(options);
  const cache = newCache();
  const frozen = await frozenWeights(dir, gpt2.config, dir, cache);
  const { file, offsets } = frozen.stored;
  expect(Object.keys(offsets)).toEqual([...gpt2.tensors.keys()]);
  expect(Object.values(offsets).filter((offset) => offset % 64 !== 0)).toEqual([]);
  const bytes = await readFile(file);
  for (const [name, { data }] of await readWeights(dir, gpt2.config))
    expect(
      Buffer.from(data.buffer).equals(bytes.subarray(offsets[name]!, offsets[name]! + data.byteLength)),
    ).toBe(true);
  expect(await score(frozen)).toEqual(await score(await readValues(dir)));
  const { ino } = await stat(file);
  expect(await frozenWeights(dir, gpt2.config, dir, cache)).toEqual(frozen);
  expect((await stat(file)).ino).toBe(ino);
  expect(await readdir(cache.directory)).toHaveLength(1);
});

it('those of half precision are near those that they were rounded from', async () => {
  const exact = await score(await readValues(fixture('models/gpt2')));
  for (const dtype of ['BF16', 'F16'] as const) {
    const rounded = await score(await readValues(await variant({ dtype })));
    for (const [i, value] of rounded.entries()) expect(value).toBeCloseTo(exact[i]!, 1);
    expect(rounded).not.toEqual(exact);
  }
});

it('a copy that is another tensor is refused, whether it would be used where it lies or decoded', async () => {
  const change = (tensors: Map<string, TensorData>) =>
    tensors.set('lm_head.weight', { shape: [384, 48], data: new Float32Array(384 * 48) });
  for (const shards of [undefined, 2]) {
    const dir = await variant({ change, ...(shards && { shards }) });
    const cache = newCache();
    await expect(frozenWeights(dir, gpt2.config, dir, cache)).rejects.toMatchObject({
      code: 'MODEL_CHECKPOINT_TENSORS',
      message: expect.stringMatching(/lm_head.weight differs from wte.weight/),
    });
    if (shards) expect(await readdir(cache.directory)).toEqual([]);
  }
});

it('a decoded file that is damaged or short is made again', async () => {
  const dir = await variant({ dtype: 'BF16' });
  const cache = newCache();
  const open = async () => (await frozenWeights(dir, gpt2.config, dir, cache)).stored.file;
  const file = await open();
  const whole = await readFile(file);
  const damaged = Buffer.from(whole);
  damaged[1000]! ^= 1;
  for (const spoil of [
    () => writeFile(file, damaged),
    () => truncate(file, whole.length - 4),
    () => truncate(file, 0),
    () => writeFile(file, Buffer.concat([whole, whole])),
  ]) {
    await spoil();
    expect(await open()).toBe(file);
    expect((await readFile(file)).equals(whole)).toBe(true);
  }
});

it('weights of the same name that were written later are other ones', async () => {
  const dir = await variant({ dtype: 'BF16' });
  const cache = newCache();
  const first = await frozenWeights(dir, gpt2.config, 'a name', cache);
  const other = await variant({
    dtype: 'BF16',
    change: (tensors) =>
      tensors.set('transformer.wte.weight', {
        shape: [384, 48],
        dtype: 'BF16',
        data: new Uint16Array(384 * 48),
      }),
  });
  await copyFile(join(other, 'model.safetensors'), join(dir, 'model.safetensors'));
  await utimes(join(dir, 'model.safetensors'), 1, 1);
  const second = await frozenWeights(dir, gpt2.config, 'a name', cache);
  expect(second).not.toEqual(first);
  expect(await score({ ...second, hash: 'second' })).toEqual(await score(await readValues(dir)));
});

it('several processes that want them at once get one file, whole', async () => {
  const dir = await variant({ dtype: 'F16', shards: 2 });
  const cache = newCache();
  const child = fileURLToPath(new URL('./frozen.test.child.js', import.meta.url));
  const files = await Promise.all(
    Array.from({ length: 3 }, async () => {
      const { stdout } = await promisify(execFile)(process.execPath, [child, dir, cache.directory]);
      return stdout;
    }),
  );
  const frozen = await frozenWeights(dir, gpt2.config, dir, cache);
  expect(frozen).toMatchObject({ stored: { file: files[0] } });
  expect(new Set(files).size).toBe(1);
  expect(await readdir(cache.directory)).toHaveLength(1);
  expect(await score(frozen)).toEqual(await score(await readValues(dir)));
});
