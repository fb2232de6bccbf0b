import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { writeFolderAtomically } from '@rlhf-streams/files';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { mergeAdapter } from '../adapters/merge.js';
import { type ModelFolders, readAdapter } from '../adapters/read.js';
import { readCheckpoint, writeCheckpoint } from '../checkpoint/directory.js';
import { readSafetensors, type TensorData } from '../checkpoint/safetensors.js';
import { fixture, type Variant, writeVariant } from '../checkpoint/variant.test.support.js';
import type { StoredAs } from '../model-config.js';
import { exportedFiles } from './files.js';

let root: string;
let count = 0;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'export-'));
});
afterAll(() => rm(root, { recursive: true }));
const fresh = () => join(root, `model-${count++}`);

async function variant(options: Variant): Promise<string> {
  const dir = fresh();
  await writeVariant(dir, options);
  return dir;
}

/** A model as a run with full parameters publishes it that began as the one in `dir`. */
async function published(dir: string): Promise<string> {
  const target = fresh();
  await writeCheckpoint(target, await readCheckpoint(dir));
  return target;
}

async function exported(folders: ModelFolders, options?: Partial<StoredAs>): Promise<string> {
  const target = fresh();
  await writeFolderAtomically(target, (await exportedFiles(folders, options)).files);
  return target;
}

const json = async (...path: string[]) => JSON.parse(await readFile(join(...path), 'utf8'));
const weightsIn = async (dir: string) => {
  const files = (await readdir(dir)).filter((name) => name.endsWith('.safetensors')).sort();
  return Promise.all(files.map(async (name) => [name, (await readFile(join(dir, name))).toString('latin1')]));
};

describe.each<[string, Variant, string, number]>([
  ['float32', {}, 'float32', 1],
  ['bfloat16', { dtype: 'BF16' }, 'bfloat16', 1],
  ['float16 in shards', { dtype: 'F16', maxShardBytes: 60_000 }, 'float16', 3],
  ['float32 in shards', { maxShardBytes: 120_000 }, 'float32', 3],
])('a model that began as %s', (_, options, dtype, shards) => {
  it('is published in float32, and exported as it came, to the byte', async () => {
    const base = await variant(options);
    const whole = await published(base);
    expect(await json(whole, 'config.json')).toMatchObject({ dtype: 'float32' });
    expect(await readdir(whole)).toEqual(['config.json', 'model.safetensors']);
    expect((await readCheckpoint(whole)).config).toEqual((await readCheckpoint(base)).config);

    const out = await exported({ base: whole });
    const theirs = await weightsIn(base);
    expect(theirs).toHaveLength(shards);
    expect(await weightsIn(out)).toEqual(theirs);
    const config = await json(out, 'config.json');
    expect(config.dtype).toBe(dtype);
    expect(config.torch_dtype).toBe(dtype === 'float32' ? undefined : dtype);
    if (shards > 1) {
      const name = 'model.safetensors.index.json';
      const [index, original] = [await json(out, name), await json(base, name)];
      expect(index.weight_map).toEqual(original.weight_map);
      expect(index.metadata.total_size).toBeGreaterThan(60_000);
    }
    // What was exported can be exported, or trained on, again.
    expect(await weightsIn(await exported({ base: out }))).toEqual(theirs);
  });
});

it('the precision and the size of shards may be asked for', async () => {
  const whole = await published(await variant({ dtype: 'BF16' }));
  const out = await exported({ base: whole }, { dtype: 'float32', maxShardBytes: 100_000 });
  expect((await readdir(out)).filter((name) => /^model-0000\d-of-0000\d/.test(name)).length).toBeGreaterThan(
    2,
  );
  const { config, tensors } = await readCheckpoint(out);
  expect(config.storedAs).toEqual({ dtype: 'float32', maxShardBytes: expect.any(Number) });
  expect(config.storedAs!.maxShardBytes).toBeLessThanOrEqual(100_000);
  expect(tensors).toEqual((await readCheckpoint(whole)).tensors);
});

it('what transformers saved again counts as it is stored, though it kept the field of what was published', async () => {
  const dir = await variant({
    dtype: 'F16',
    config: { stored_as: { dtype: 'bfloat16', max_shard_bytes: 9 } },
  });
  expect((await readCheckpoint(dir)).config.storedAs).toEqual({ dtype: 'float16' });
  const published = await variant({ config: { stored_as: { dtype: 'bfloat16', max_shard_bytes: 9 } } });
  expect((await readCheckpoint(published)).config.storedAs).toEqual({ dtype: 'bfloat16', maxShardBytes: 9 });
});

it('a number that float16 does not have is an error that names the tensor, and bfloat16 has it', async () => {
  const change = (tensors: Map<string, TensorData>) =>
    tensors.set('transformer.ln_f.bias', { shape: [48], data: new Float32Array(48).fill(-70_000) });
  const whole = await published(await variant({ change }));
  await expect(exported({ base: whole }, { dtype: 'float16' })).rejects.toMatchObject({
    code: 'MODEL_DTYPE_RANGE',
    message: expect.stringMatching(
      /numbers of transformer.ln_f.bias to fit into float16, got one of magnitude 70000: choose bfloat16 or float32/,
    ),
  });
  const { tensors } = await readCheckpoint(await exported({ base: whole }, { dtype: 'bfloat16' }));
  expect(tensors.get('ln_f.bias')!.data[0]).toBeCloseTo(-70_000, -3);
});

it('other files go along as they are, and formats of weights do not', async () => {
  const base = await variant({ dtype: 'BF16' });
  await writeFile(join(base, 'chat_template.jinja'), '{{ x }}');
  await writeFile(join(base, 'pytorch_model.bin'), '');
  await mkdir(join(base, 'onnx'));
  const out = await exported({ base });
  expect(await readdir(out)).toEqual(['chat_template.jinja', 'config.json', 'model.safetensors']);
  expect(await readFile(join(out, 'chat_template.jinja'), 'utf8')).toBe('{{ x }}');
});

describe('an adapter', () => {
  it.each([
    ['of a policy', 'gpt2-lora'],
    ['of a reward model, whose head it brings', 'gpt2-reward'],
  ])('%s is merged into its base', async (_, name) => {
    const adapter = fixture(`adapters/${name}`);
    const base = await readCheckpoint(fixture('models/gpt2'));
    const { config, tensors } = await readAdapter(adapter, base.config);
    const merged = mergeAdapter(config, base.tensors, tensors);
    const out = await exported({ base: fixture('models/gpt2'), adapter });
    expect(await readCheckpoint(out)).toMatchObject({ config: merged.config });
    expect((await readCheckpoint(out)).tensors).toEqual(merged.tensors);
    expect((await readdir(out)).filter((name) => name.startsWith('adapter'))).toEqual([]);
  });

  it('is rounded after it was added', async () => {
    const base = await variant({ dtype: 'BF16', shards: 2 });
    const adapter = fixture('adapters/gpt2-lora');
    const out = await exported({ base, adapter });
    expect(await readdir(out)).toContain('model-00001-of-00002.safetensors');
    const whole = await exported({ base, adapter }, { dtype: 'float32', maxShardBytes: 1e9 });
    const { tensors } = await readSafetensors(join(whole, 'model.safetensors'));
    const name = 'transformer.h.0.attn.c_attn.weight';
    const rounded = (await readCheckpoint(out)).tensors.get('h.0.attn.c_attn.weight')!.data;
    const exact = tensors.get(name)!.data as Float32Array;
    for (const [i, number] of exact.entries()) {
      expect(Math.abs(rounded[i]! - number)).toBeLessThanOrEqual(2 ** -8 * Math.abs(number));
    }
    expect(rounded).not.toEqual(exact);
  });
});
