import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readTokenizer } from './files.js';

const fixture = (path: string) => fileURLToPath(new URL(`../../fixtures/${path}`, import.meta.url));
/** `<|endoftext|>` is 0, `<|pad|>` 1, `<|im_start|>` 2, `<|im_end|>` 3. */
const json = JSON.parse(await readFile(fixture('tokenizers/qwen2/tokenizer.json'), 'utf8'));
/** A tokenizer without any token of GPT-2's names. */
const renamed = JSON.parse(
  JSON.stringify(json).replaceAll('<|endoftext|>', '<s>').replaceAll('<|pad|>', '<p>'),
);

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tokenizer-'));
});
afterEach(() => rm(folder, { recursive: true }));

const write = (files: Record<string, unknown>) =>
  Promise.all(
    Object.entries(files).map(([name, value]) => writeFile(join(folder, name), JSON.stringify(value))),
  );
const config = (ids: object) => ({ model_type: 'gpt2', vocab_size: 512, ...ids });

describe('readTokenizer', () => {
  it('is undefined where there is none', async () => {
    expect(await readTokenizer(folder)).toBeUndefined();
  });

  it('takes the special tokens from tokenizer_config.json', async () => {
    await write({
      'tokenizer.json': json,
      'tokenizer_config.json': { eos_token: '<|im_end|>', pad_token: { content: '<|im_start|>' } },
      'special_tokens_map.json': { eos_token: '<|endoftext|>', pad_token: '<|endoftext|>' },
      'config.json': config({ eos_token_id: 0, pad_token_id: 0 }),
    });
    expect(await readTokenizer(folder)).toMatchObject({ eosId: 3, padId: 2 });
  });

  it('else from special_tokens_map.json', async () => {
    await write({
      'tokenizer.json': json,
      'tokenizer_config.json': { pad_token: null, model_max_length: 5 },
      'special_tokens_map.json': { eos_token: { content: '<|im_end|>' }, pad_token: '<|im_start|>' },
      'config.json': config({ eos_token_id: 0, pad_token_id: 0 }),
    });
    expect(await readTokenizer(folder)).toMatchObject({ eosId: 3, padId: 2 });
  });

  it('else the ones that config.json means by their ids', async () => {
    await write({ 'tokenizer.json': renamed, 'config.json': config({ eos_token_id: 3, pad_token_id: 1 }) });
    expect(await readTokenizer(folder)).toMatchObject({ eosId: 3, padId: 1 });
  });

  it('also by generation_config.json, and of several ends of text the first', async () => {
    await write({
      'tokenizer.json': renamed,
      'config.json': config({ eos_token_id: [3, 0] }),
      'generation_config.json': { eos_token_id: [0, 3], pad_token_id: 1, bos_token_id: 2 },
    });
    expect(await readTokenizer(folder)).toMatchObject({ eosId: 3, padId: 1, bosId: 2 });
  });

  it('and says what to do where nothing names the end of text', async () => {
    await write({ 'tokenizer.json': renamed });
    await expect(readTokenizer(folder)).rejects.toMatchObject({
      code: 'MODEL_TOKENIZER_INVALID',
      message: expect.stringContaining('name the end of text as eos_token in tokenizer_config.json'),
    });
  });

  it('knows the tokens that only tokenizer_config.json adds', async () => {
    const token = { content: '<extra>', special: true, normalized: false };
    await write({
      'tokenizer.json': json,
      'tokenizer_config.json': {
        eos_token: '<|im_end|>',
        added_tokens_decoder: { 0: { content: '<|endoftext|>', special: true }, 900: token },
      },
    });
    const tokenizer = (await readTokenizer(folder))!;
    expect(tokenizer.encode('a<extra>b')).toEqual([...tokenizer.encode('a'), 900, ...tokenizer.encode('b')]);
    expect(tokenizer.decode([900], { skipSpecialTokens: true })).toBe('');
    expect(tokenizer.json).toMatchObject({ added_tokens: [...json.added_tokens, { id: 900, ...token }] });
  });

  it.each(['tokenizer.model', 'vocab.json'])('says what to do where there is a %s alone', async (name) => {
    await write({ [name]: 'something' });
    await expect(readTokenizer(folder)).rejects.toMatchObject({
      code: 'MODEL_TOKENIZER_INVALID',
      message: expect.stringMatching(new RegExp(`got ${name} alone: .*save_pretrained`)),
    });
  });

  it('refuses a file that is no object', async () => {
    await write({ 'tokenizer.json': json, 'special_tokens_map.json': ['<|endoftext|>'] });
    await expect(readTokenizer(folder)).rejects.toThrow(
      /special_tokens_map.json: expected an object, got a list/,
    );
  });
});
