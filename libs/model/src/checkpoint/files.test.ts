import { mkdir, mkdtemp, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { checkpointFiles, readExtraFiles } from './files.js';

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'files-'));
});
afterEach(() => rm(dir, { recursive: true }));

it('of a folder the files of a model are taken, and nothing else', async () => {
  const model = [
    'README.md',
    'chat_template.jinja',
    'config.json',
    'generation_config.json',
    'merges.txt',
    'model.safetensors',
    'tokenizer.json',
    'tokenizer.model',
  ];
  const others = ['pytorch_model.bin', 'optimizer.pt', '.gitattributes', 'model-00001-of-00002.safetensors'];
  for (const name of [...model, ...others, 'trainer_state.json']) await writeFile(join(dir, name), '{}');
  await truncate(join(dir, 'trainer_state.json'), 17 * 2 ** 20);
  await truncate(join(dir, 'tokenizer.json'), 17 * 2 ** 20);
  await mkdir(join(dir, 'checkpoint-500'));
  await writeFile(join(dir, 'checkpoint-500', 'config.json'), '{}');
  await mkdir(join(dir, 'odd.json'));
  expect(await checkpointFiles(dir)).toEqual(model);
});

it('links are followed, as in a cache of Hugging Face', async () => {
  await writeFile(join(dir, '.blob'), '{}');
  await symlink(join(dir, '.blob'), join(dir, 'config.json'));
  await symlink(join(dir, 'no such blob'), join(dir, 'model.safetensors'));
  expect(await checkpointFiles(dir)).toEqual(['config.json']);
});

it('takes what goes with a model, and no weights, dirs, hidden or large files', async () => {
  const kept = [
    'LICENSE',
    'chat_template.jinja',
    'generation_config.json',
    'merges.txt',
    'special_tokens_map.json',
  ];
  const left = [
    'adapter_config.json',
    'adapter_model.safetensors',
    'config.json',
    'model.safetensors',
    'tokenizer.json',
    'tokenizer_config.json',
    'model-00001-of-00002.safetensors',
    'model.safetensors.index.json',
    'pytorch_model.bin',
    'pytorch_model.bin.index.json',
    'optimizer.pt',
    'rng_state.pth',
    'tf_model.h5',
    'flax_model.msgpack',
    'model.onnx',
    'model.Q4_0.GGUF',
    '.gitattributes',
  ];
  for (const name of [...kept, ...left]) await writeFile(join(dir, name), name);
  await mkdir(join(dir, 'runs'));
  await writeFile(join(dir, 'film.mp4'), '');
  await truncate(join(dir, 'film.mp4'), 2 ** 24 + 1);
  await symlink(join(dir, 'LICENSE'), join(dir, 'linked.txt'));

  const files = await readExtraFiles(dir);
  expect([...files.keys()]).toEqual([...kept, 'linked.txt'].sort());
  expect(Buffer.from(files.get('merges.txt')!).toString()).toBe('merges.txt');
  expect(Buffer.from(files.get('linked.txt')!).toString()).toBe('LICENSE');
});
