import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFile, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { architectureOf } from '../architectures/index.js';
import { type Checkpoint, readCheckpoint, writeCheckpoint } from './directory.js';
import type { TensorData } from './safetensors.js';
import { fixture, writeVariant } from './variant.test.support.js';

let root: string;
let count = 0;
const fresh = () => join(root, `checkpoint-${count++}`);
let gpt2: Checkpoint;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'checkpoint-'));
  gpt2 = await readCheckpoint(fixture('models/gpt2'));
});
afterAll(() => rm(root, { recursive: true }));

/** The golden model with other tensors. */
async function variant(change: (tensors: Map<string, TensorData>) => void, config = {}): Promise<string> {
  const dir = fresh();
  await writeVariant(dir, { change, config });
  return dir;
}

describe('readCheckpoint', () => {
  it('reads both spellings of the names as the published one, in the order of the shapes', async () => {
    const dir = fresh();
    await mkdir(dir);
    await copyFile(fixture('models/gpt2/config.legacy.json'), join(dir, 'config.json'));
    await copyFile(fixture('models/gpt2/model.hubnames.safetensors'), join(dir, 'model.safetensors'));
    await copyFile(fixture('tokenizers/gpt2/tokenizer.json'), join(dir, 'tokenizer.json'));
    const published = await readCheckpoint(dir);
    expect(published.tensors).toEqual(gpt2.tensors);
    expect([...gpt2.tensors.keys()]).toEqual([...architectureOf(gpt2.config).tensors(gpt2.config).keys()]);
    expect(published.tokenizer?.json).toMatchObject({ model: { type: 'BPE' } });
    expect(gpt2.tokenizer).toBeUndefined();
  });

  it('reads the head of a reward model', async () => {
    const { config, tensors } = await readCheckpoint(fixture('models/gpt2-seqcls'));
    expect(config.head).toEqual({ kind: 'scalar', labels: 1 });
    expect(tensors.get('score.weight')?.shape).toEqual([1, 48]);
  });

  it('takes a tied output matrix stored twice, and drops it', async () => {
    const dir = await variant((tensors) => {
      tensors.set('lm_head.weight', tensors.get('transformer.wte.weight')!);
      tensors.set('transformer.h.0.attn.bias', { shape: [1, 1, 96, 96], data: new Uint8Array(96 * 96) });
    });
    expect((await readCheckpoint(dir)).tensors).toEqual(gpt2.tensors);
  });

  it('refuses a tied output matrix that differs', async () => {
    const dir = await variant((tensors) => {
      tensors.set('lm_head.weight', { shape: [384, 48], data: new Float32Array(384 * 48) });
    });
    await expect(readCheckpoint(dir)).rejects.toThrow(/lm_head.weight differs from wte.weight/);
  });

  it('wants and keeps an untied output matrix', async () => {
    const untied = { tie_word_embeddings: false };
    await expect(readCheckpoint(await variant(() => {}, untied))).rejects.toThrow(
      /missing lm_head.weight \[384,48\]/,
    );
    const data = new Float32Array(384 * 48).fill(2);
    const dir = await variant((tensors) => tensors.set('lm_head.weight', { shape: [384, 48], data }), untied);
    expect((await readCheckpoint(dir)).tensors.get('lm_head.weight')?.data).toEqual(data);
  });

  it('names everything that is wrong in one error', async () => {
    const dir = await variant((tensors) => {
      tensors.delete('transformer.h.1.ln_2.bias');
      tensors.set('transformer.wpe.weight', { shape: [48, 96], data: new Float32Array(48 * 96) });
      tensors.set('v_head.weight', { shape: [1], data: new Float32Array(1) });
      tensors.set('ln_f.bias', { shape: [48], data: new Float32Array(48) });
    });
    const error = await readCheckpoint(dir).catch((error: unknown) => error);
    expect(error).toMatchObject({ code: 'MODEL_CHECKPOINT_TENSORS' });
    for (const part of [
      'missing h.1.ln_2.bias [48]',
      'wpe.weight has shape [48,96], expected [96,48]',
      'unexpected v_head.weight [1]',
      'ln_f.bias twice',
    ]) {
      expect((error as Error).message).toContain(part);
    }
  });

  it('refuses weights that are integers', async () => {
    const dir = await variant((tensors) => {
      tensors.set('transformer.ln_f.bias', { shape: [48], data: new Int32Array(48) });
    });
    await expect(readCheckpoint(dir)).rejects.toThrow(/ln_f.bias has dtype I32, expected F32/);
  });

  it('says which file is missing, and what to do about another format', async () => {
    const dir = fresh();
    await expect(readCheckpoint(dir)).rejects.toMatchObject({ code: 'MODEL_CHECKPOINT_MISSING' });
    await mkdir(dir);
    await writeFile(join(dir, 'config.json'), '{"model_type": "gpt2"}');
    await writeFile(join(dir, 'pytorch_model.bin'), '');
    await expect(readCheckpoint(dir)).rejects.toThrow(
      /no model.safetensors, but pytorch_model.bin, which .* save_pretrained/,
    );
    await writeFile(join(dir, 'config.json'), '{');
    await expect(readCheckpoint(dir)).rejects.toMatchObject({ code: 'MODEL_CONFIG_INVALID' });
  });
});

describe('writeCheckpoint', () => {
  it.each(['gpt2', 'gpt2-seqcls'])('writes %s as transformers does, byte for byte', async (name) => {
    const dir = fresh();
    const checkpoint = await readCheckpoint(fixture(`models/${name}`));
    await writeCheckpoint(dir, checkpoint);
    const [written, original] = await Promise.all(
      [dir, fixture(`models/${name}`)].map((from) => readFile(join(from, 'model.safetensors'))),
    );
    expect(Buffer.compare(written!, original!)).toBe(0);
    expect(await readCheckpoint(dir)).toEqual(checkpoint);
  });

  it('writes the tokenizer and further files beside them, and leaves no other', async () => {
    const dir = fresh();
    const tokenizer = { json: { model: {} }, config: { eos_token: 'x' } };
    const extraFiles = new Map<string, string | Uint8Array>([
      ['README.md', 'A model.\n'],
      ['state.bin', Uint8Array.of(1, 2, 3)],
    ]);
    await writeCheckpoint(dir, { ...gpt2, tokenizer, extraFiles });
    expect((await readdir(dir)).sort()).toEqual(
      [
        'README.md',
        'config.json',
        'model.safetensors',
        'state.bin',
        'tokenizer.json',
        'tokenizer_config.json',
      ].sort(),
    );
    expect((await readCheckpoint(dir)).tokenizer).toEqual(tokenizer);
    expect(await readFile(join(dir, 'state.bin'))).toEqual(Buffer.of(1, 2, 3));
    expect((await readdir(root)).filter((name) => name.endsWith('.tmp'))).toEqual([]);
  });

  it('never writes over a checkpoint', async () => {
    const dir = fresh();
    await writeCheckpoint(dir, gpt2);
    const other = new Map(gpt2.tensors).set('ln_f.bias', { shape: [48], data: new Float32Array(48).fill(9) });
    await expect(writeCheckpoint(dir, { ...gpt2, tensors: other })).rejects.toMatchObject({
      code: 'MODEL_CHECKPOINT_EXISTS',
    });
    expect((await readCheckpoint(dir)).tensors).toEqual(gpt2.tensors);
    expect((await readdir(root)).filter((name) => name.endsWith('.tmp'))).toEqual([]);
  });

  it('leaves whole checkpoints alone when its process is killed', async () => {
    const parent = fresh();
    await mkdir(parent);
    const program = `
      const { readCheckpoint, writeCheckpoint } = await import(${JSON.stringify(new URL('./directory.js', import.meta.url).href)});
      const checkpoint = await readCheckpoint(${JSON.stringify(fixture('models/gpt2'))});
      for (let i = 0; ; i++) {
        await writeCheckpoint(${JSON.stringify(parent)} + '/' + i, checkpoint);
        console.log(i);
      }`;
    const writer = spawn(process.execPath, ['--input-type=module', '--eval', program], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await once(writer.stdout, 'data');
    writer.kill('SIGKILL');
    await once(writer, 'close');
    const whole = (await readdir(parent)).filter((name) => !name.endsWith('.tmp'));
    expect(whole).not.toEqual([]);
    for (const name of whole)
      expect((await readCheckpoint(join(parent, name))).tensors).toEqual(gpt2.tensors);
  });

  it('refuses tensors that are not the model', async () => {
    const dir = fresh();
    const tensors = new Map(gpt2.tensors);
    tensors.delete('ln_f.bias');
    await expect(writeCheckpoint(dir, { ...gpt2, tensors })).rejects.toThrow(/missing ln_f.bias/);
    await expect(readdir(dir)).rejects.toMatchObject({ code: 'ENOENT' });
  });

  it.each(['../escape', 'a/b', '..', '', 'config.json'])('refuses an extra file called %j', async (name) => {
    await expect(
      writeCheckpoint(fresh(), { ...gpt2, extraFiles: new Map([[name, '']]) }),
    ).rejects.toMatchObject({ code: 'MODEL_CHECKPOINT_FILE' });
  });
});
