/** The tokens at which generation ends. */
import { join } from 'node:path';
import { z } from 'zod';
import { readJson } from '../checkpoint/json-file.js';
import { ModelError } from '../errors.js';
import { MAX_CONFIG_BYTES } from './files.js';
import type { Tokenizer } from './tokenizer.js';

const ids = z.looseObject({
  eos_token_id: z.union([z.int().nonnegative(), z.array(z.int().nonnegative())]).nullish(),
});

/**
 * The tokens at any of which a completion of the checkpoint in a folder ends: the one that ends texts, first, and those
 * of `eos_token_id` in `generation_config.json`, else in `config.json`. An instruct model ends a turn with one token and
 * a document with another.
 * @throws ModelError MODEL_CONFIG_INVALID
 */
export async function readEndTokens(dir: string, { eosId }: Pick<Tokenizer, 'eosId'>): Promise<number[]> {
  const named =
    (await eosTokensIn(join(dir, 'generation_config.json'))) ??
    (await eosTokensIn(join(dir, 'config.json'))) ??
    [];
  return [...new Set([eosId, ...named])];
}

/** undefined where the file is missing, or names none. */
async function eosTokensIn(path: string): Promise<number[] | undefined> {
  const json = await readJson(path, MAX_CONFIG_BYTES, 'MODEL_CONFIG_INVALID');
  if (json === undefined) return undefined;
  const parsed = ids.safeParse(json);
  if (!parsed.success) {
    throw new ModelError('MODEL_CONFIG_INVALID', `${path}: ${z.prettifyError(parsed.error)}`, {
      cause: parsed.error,
    });
  }
  const { eos_token_id: named } = parsed.data;
  return named === undefined || named === null ? undefined : [named].flat();
}
