import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { readEndTokens } from './end-tokens.js';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'end-tokens-'));
});
afterEach(() => rm(folder, { recursive: true }));

const endsOf = async (files: Record<string, unknown>) => {
  for (const [name, value] of Object.entries(files))
    await writeFile(join(folder, name), typeof value === 'string' ? value : JSON.stringify(value));
  return readEndTokens(folder, { eosId: 7 });
};
const GENERATION = 'generation_config.json';

it.each<[string, Record<string, unknown>, number[]]>([
  ['of the tokenizer alone', {}, [7]],
  ['of generation_config.json', { [GENERATION]: { eos_token_id: [2, 7, 3] } }, [7, 2, 3]],
  [
    'which go before those of config.json',
    { [GENERATION]: { eos_token_id: 2 }, 'config.json': { eos_token_id: 9 } },
    [7, 2],
  ],
  [
    'of config.json, one or several',
    { [GENERATION]: { top_p: 1 }, 'config.json': { eos_token_id: [9, 8] } },
    [7, 9, 8],
  ],
  [
    'of none that is null',
    { [GENERATION]: { eos_token_id: null }, 'config.json': { eos_token_id: null } },
    [7],
  ],
])('end a completion: the tokens %s', async (_, files, expected) => {
  expect(await endsOf(files)).toEqual(expected);
});

it.each([{ eos_token_id: ['</s>'] }, { eos_token_id: 1.5 }, [], 'no JSON'])(
  'refuses %j',
  async (contents) => {
    await expect(endsOf({ [GENERATION]: contents })).rejects.toMatchObject({
      code: 'MODEL_CONFIG_INVALID',
      message: expect.stringContaining('generation_config.json'),
    });
  },
);
