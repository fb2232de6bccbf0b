import { mkdir, mkdtemp, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { checkpointFiles } from './files.js';

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
  await writeFile(join(dir, 'blob'), '{}');
  await symlink(join(dir, 'blob'), join(dir, 'config.json'));
  await symlink(join(dir, 'no such blob'), join(dir, 'model.safetensors'));
  expect(await checkpointFiles(dir)).toEqual(['config.json']);
});
