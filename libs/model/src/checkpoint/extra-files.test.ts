import { mkdir, mkdtemp, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { readExtraFiles } from './extra-files.js';

it('takes what goes with a model, and no weights, folders, hidden or large files', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'extra-'));
  const kept = [
    'LICENSE',
    'chat_template.jinja',
    'generation_config.json',
    'merges.txt',
    'special_tokens_map.json',
  ];
  const left = [
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
  for (const name of [...kept, ...left]) await writeFile(join(folder, name), name);
  await mkdir(join(folder, 'runs'));
  await writeFile(join(folder, 'film.mp4'), '');
  await truncate(join(folder, 'film.mp4'), 2 ** 24 + 1);
  await symlink(join(folder, 'LICENSE'), join(folder, 'linked.txt'));

  const files = await readExtraFiles(folder);
  expect([...files.keys()]).toEqual([...kept, 'linked.txt'].sort());
  expect(Buffer.from(files.get('merges.txt')!).toString()).toBe('merges.txt');
  expect(Buffer.from(files.get('linked.txt')!).toString()).toBe('LICENSE');
  await rm(folder, { recursive: true });
});
