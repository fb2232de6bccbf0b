/** The files of a checkpoint that its tokenizer is read from. */
import { join } from 'node:path';
import { z } from 'zod';
import { type ModelConfig, parseHuggingFaceConfig } from '../checkpoint/hf-config.js';
import { readJson } from '../checkpoint/json-file.js';
import { ModelError } from '../errors.js';
import { loadTokenizer, type Tokenizer } from './tokenizer.js';

/** What a tokenizer is made of, parsed. */
export interface TokenizerFiles {
  /** `tokenizer.json` */
  json: unknown;
  /** `tokenizer_config.json`, which names the special tokens */
  config?: unknown;
}

export const MAX_CONFIG_BYTES = 2 ** 20;
const MAX_TOKENIZER_BYTES = 2 ** 28;

/** The tokenizer of the checkpoint in a folder, without its weights; undefined where it has none. */
export async function readTokenizer(dir: string): Promise<Tokenizer | undefined> {
  const path = join(dir, 'config.json');
  const config = await readJson(path, MAX_CONFIG_BYTES, 'MODEL_CONFIG_INVALID');
  const files = await readTokenizerFiles(
    dir,
    config === undefined ? {} : parseHuggingFaceConfig(config, path),
  );
  return files && loadTokenizer(files.json, files.config);
}

type SpecialIds = Pick<ModelConfig, 'bosTokenId' | 'eosTokenId' | 'padTokenId'>;

/**
 * The tokenizer's files; undefined where the folder has none. A special token that `tokenizer_config.json` does not
 * name is the one of `special_tokens_map.json`, else the one whose id `config.json` gives.
 * @throws MODEL_TOKENIZER_INVALID
 */
export async function readTokenizerFiles(dir: string, ids: SpecialIds): Promise<TokenizerFiles | undefined> {
  const read = (name: string, maxBytes: number) =>
    readJson(join(dir, name), maxBytes, 'MODEL_TOKENIZER_INVALID');
  const json = await read('tokenizer.json', MAX_TOKENIZER_BYTES);
  if (json === undefined) return undefined;
  const [config, map] = await Promise.all(
    ['tokenizer_config.json', 'special_tokens_map.json'].map(async (name) =>
      fieldsOf(await read(name, MAX_CONFIG_BYTES), join(dir, name)),
    ),
  );
  const names = namesOf(json);
  const byId = (id: number | undefined) => (id === undefined ? undefined : names.get(id));
  const named = given({
    bos_token: config?.bos_token ?? map?.bos_token ?? byId(ids.bosTokenId),
    eos_token: config?.eos_token ?? map?.eos_token ?? byId(ids.eosTokenId),
    pad_token: config?.pad_token ?? map?.pad_token ?? byId(ids.padTokenId),
  });
  return { json, ...((config || Object.keys(named).length > 0) && { config: { ...config, ...named } }) };
}

const vocabulary = z.looseObject({
  added_tokens: z.array(z.looseObject({ id: z.number(), content: z.string() })).default([]),
  model: z.looseObject({ vocab: z.record(z.string(), z.number()) }),
});

/** Tokens by id; none of what is no tokenizer, which `loadTokenizer` says. */
function namesOf(json: unknown): Map<number, string> {
  const parsed = vocabulary.safeParse(json);
  if (!parsed.success) return new Map();
  const { added_tokens: added, model } = parsed.data;
  return new Map([
    ...Object.entries(model.vocab).map(([token, id]) => [id, token] as const),
    ...added.map(({ id, content }) => [id, content] as const),
  ]);
}

function fieldsOf(value: unknown, path: string): Record<string, unknown> | undefined {
  if (value === undefined) return undefined;
  const parsed = z.record(z.string(), z.unknown()).safeParse(value);
  if (parsed.success) return parsed.data;
  throw new ModelError(
    'MODEL_TOKENIZER_INVALID',
    `${path}: expected an object, got ${JSON.stringify(value)}.`,
  );
}

const given = (fields: Record<string, unknown>) =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined && value !== null));
