import { copyFile, mkdir, mkdtemp, readFile, rename, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { describeCheckpoint, readCheckpoint } from './directory.js';
import { checkpointFiles } from './files.js';
import { readSafetensors, type TensorData, writeSafetensors } from './safetensors.js';
import { fixture, type Variant, writeVariant } from './variant.test.support.js';

const POINTER = `version https://git-lfs.github.com/spec/v1\noid sha256:${'0'.repeat(64)}\nsize 269060552\n`;
const INDEX = 'model.safetensors.index.json';
const shard = (number: number) => `model-0000${number}-of-00002.safetensors`;

let root: string;
let count = 0;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'refusals-'));
});
afterAll(() => rm(root, { recursive: true }));

async function variant(options: Variant = {}): Promise<string> {
  const dir = join(root, `model-${count++}`);
  await writeVariant(dir, options);
  return dir;
}

/** A folder with these files beside the golden config.json. */
async function folderWith(...names: string[]): Promise<string> {
  const dir = join(root, `folder-${count++}`);
  await mkdir(dir);
  await copyFile(fixture('models/gpt2/config.json'), join(dir, 'config.json'));
  for (const name of names) await writeFile(join(dir, name), 'x');
  return dir;
}

const refused = (dir: string, code: string, message: RegExp) =>
  expect(describeCheckpoint(dir)).rejects.toMatchObject({ code, message: expect.stringMatching(message) });

describe('a folder that has its weights in another format alone', () => {
  it.each([
    ['pytorch_model.bin', /has no model.safetensors, but pytorch_model.bin, .*save_pretrained/],
    ['pytorch_model.bin.index.json', /but pytorch_model.bin.index.json, /],
    ['tf_model.h5', /but tf_model.h5, /],
    ['model.Q4_K_M.gguf', /but model.Q4_K_M.gguf, which is llama.cpp's format: fetch .* Hugging Face format/],
    ['consolidated.00.pth', /but consolidated.00.pth, which is the publisher's own format: fetch/],
  ])('as %s', async (name, message) => {
    const dir = await folderWith(name);
    await refused(dir, 'MODEL_CHECKPOINT_FORMAT', message);
    await rm(join(dir, 'config.json'));
    await refused(dir, 'MODEL_CHECKPOINT_FORMAT', new RegExp(`has no config.json, but ${name}`));
  });

  it('or has none', async () => {
    await refused(await folderWith('a', 'b'), 'MODEL_CHECKPOINT_MISSING', /it holds a, b, config.json\.$/);
    await refused(join(root, 'nothing'), 'MODEL_CHECKPOINT_MISSING', /has no config.json; it holds nothing/);
  });

  it('is none with safetensors beside it', async () => {
    const dir = await variant();
    for (const name of ['pytorch_model.bin', 'x.gguf', 'consolidated.00.pth'])
      await writeFile(join(dir, name), '');
    expect((await describeCheckpoint(dir)).config.width).toBe(48);
  });
});

it('an adapter is not taken for the model that it stands on', async () => {
  const dir = await folderWith('adapter_config.json', 'adapter_model.safetensors');
  for (const _ of [1, 2]) {
    await refused(dir, 'MODEL_ADAPTER', /but adapter_config.json, which is an adapter \(PEFT\).*merge/);
    await rm(join(dir, 'config.json'), { force: true });
  }
});

it.each(['config.json', 'model.safetensors', 'tokenizer.json', INDEX, shard(2)])(
  'a pointer of Git LFS in place of %s is told from the file',
  async (name) => {
    const dir = await variant(name === INDEX || name === shard(2) ? { shards: 2 } : {});
    await writeFile(join(dir, name), POINTER);
    await refused(dir, 'MODEL_FILE_POINTER', new RegExp(`${name} is a pointer of Git LFS.*git lfs pull`));
  },
);

describe('shards', () => {
  it('are read as one checkpoint, and a single file comes before them', async () => {
    const whole = await readCheckpoint(fixture('models/gpt2'));
    const dir = await variant({ shards: 2 });
    expect((await readCheckpoint(dir)).tensors).toEqual(whole.tensors);
    const own = ['config.json', shard(1), shard(2), INDEX];
    await writeFile(join(dir, 'optimizer.safetensors'), '');
    expect(await checkpointFiles(dir)).toEqual(own);
    await copyFile(fixture('models/gpt2/model.safetensors'), join(dir, 'model.safetensors'));
    await truncate(join(dir, shard(1)), 100);
    expect((await readCheckpoint(dir)).tensors).toEqual(whole.tensors);
    expect(await checkpointFiles(dir)).toEqual(['config.json', 'model.safetensors']);
  });

  it('that are missing, or end early, are named', async () => {
    const dir = await variant({ shards: 2 });
    const { size } = await stat(join(dir, shard(1)));
    await truncate(join(dir, shard(1)), size - 1);
    await refused(dir, 'MODEL_SAFETENSORS_TRUNCATED', new RegExp(`${shard(1)}: .*fetch the file again`));
    await rm(join(dir, shard(1)));
    await refused(dir, 'MODEL_CHECKPOINT_MISSING', new RegExp(`has no ${shard(1)}, one of the shards`));
  });

  it('that do not hold what the index says', async () => {
    const dir = await variant({ shards: 2 });
    await rename(join(dir, shard(1)), join(dir, 'x'));
    await rename(join(dir, shard(2)), join(dir, shard(1)));
    await rename(join(dir, 'x'), join(dir, shard(2)));
    await refused(
      dir,
      'MODEL_CHECKPOINT_INDEX',
      /it says that .* lies in model-00001-of-00002.safetensors, which/,
    );
    await copyFile(join(dir, shard(1)), join(dir, shard(2)));
    await refused(
      dir,
      'MODEL_CHECKPOINT_INDEX',
      /lies in model-00002-of-00002.safetensors and in another shard/,
    );
  });

  it.each([
    ['no JSON', '{', /is not JSON/],
    ['no map', '{}', /expected a weight_map/],
    ['a file of another folder', '{"weight_map":{"x":"../../secrets.safetensors"}}', /expected a weight_map/],
    ['a file of another kind', '{"weight_map":{"x":"/etc/passwd"}}', /expected a weight_map/],
    ['a tensor that no shard has', JSON.stringify({ weight_map: { x: shard(1) } }), /it says that x lies in/],
  ])('with an index that has %s', async (_, index, message) => {
    const dir = await variant({ shards: 2 });
    await writeFile(join(dir, INDEX), index);
    await refused(dir, 'MODEL_CHECKPOINT_INDEX', message);
  });
});

it('names without their prefix, and what is computed from the config, are read as transformers reads them', async () => {
  const source = fixture('models/llama-untied');
  const { tensors } = await readSafetensors(join(source, 'model.safetensors'));
  const stored = new Map<string, TensorData>(
    [...tensors].map(([name, tensor]) => [name.replace(/^model\./, ''), tensor]),
  );
  stored.set('model.layers.0.self_attn.rotary_emb.inv_freq', { shape: [6], data: new Float32Array(6) });
  const dir = join(root, `llama-${count++}`);
  await mkdir(dir);
  await copyFile(join(source, 'config.legacy.json'), join(dir, 'config.json'));
  await writeSafetensors(join(dir, 'model.safetensors'), stored);
  expect((await readCheckpoint(dir)).tensors).toEqual((await readCheckpoint(source)).tensors);
});

describe('quantised weights', () => {
  it('are named as such by config.json', async () => {
    const config = { quantization_config: { quant_method: 'gptq', bits: 4 } };
    await refused(
      await variant({ config }),
      'MODEL_CHECKPOINT_FORMAT',
      /config.json: the weights are quantised \(quantization_config: gptq\), expected F32, .*: use the model that they were made from/,
    );
  });

  it.each(['I8', 'F8_E4M3', 'U8'])('are named as such by their dtype, %s', async (dtype) => {
    const dir = await variant({
      change: (tensors) => tensors.set('transformer.ln_f.bias', { shape: [48], data: new Uint8Array(48) }),
    });
    const file = join(dir, 'model.safetensors');
    const bytes = (await readFile(file)).toString('latin1');
    const spelled = `"dtype":"U8"`;
    const replaced = `"dtype":"${dtype}"`;
    // The header may be longer by as much as it is padded with.
    const longer = replaced.length - spelled.length;
    const at = bytes.indexOf(spelled);
    const end = 8 + Number(Buffer.from(bytes.slice(0, 8), 'latin1').readBigUInt64LE());
    const header = bytes.slice(8, end).replace(spelled, replaced);
    const length = Buffer.alloc(8);
    length.writeBigUInt64LE(BigInt(end - 8 + longer));
    await writeFile(file, Buffer.concat([length, Buffer.from(header + bytes.slice(end), 'latin1')]));
    expect(at).toBeGreaterThan(0);
    await refused(dir, 'MODEL_CHECKPOINT_FORMAT', new RegExp(`quantised \\(ln_f.bias has dtype ${dtype}\\)`));
  });
});

it('a tensor of another dtype, or shape, is named', async () => {
  const integers = await variant({
    change: (tensors) => tensors.set('transformer.ln_f.bias', { shape: [48], data: new BigInt64Array(48) }),
  });
  await refused(
    integers,
    'MODEL_CHECKPOINT_TENSORS',
    /ln_f.bias has dtype I64, expected F32, F16, BF16, F64/,
  );
  const dir = await variant({ shards: 2 });
  await writeSafetensors(
    join(dir, shard(2)),
    new Map([['transformer.ln_f.bias', { shape: [7], data: new Float32Array(7) }]]),
  );
  await writeFile(join(dir, INDEX), JSON.stringify({ weight_map: { 'transformer.ln_f.bias': shard(2) } }));
  await refused(dir, 'MODEL_CHECKPOINT_TENSORS', /ln_f.bias has shape \[7\], expected \[48\]; missing/);
});
