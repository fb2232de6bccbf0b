/** Reads the tokenizer of a checkpoint. */
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { unlessMissing } from '@rlhf-streams/files';
import { z } from 'zod';
import { exists, readJson } from '../checkpoint/json-file.js';
import { ModelError } from '../errors.js';
import { loadTokenizer, type Tokenizer } from './tokenizer.js';

/** The parsed files of a tokenizer. */
export interface TokenizerFiles {
  /** `tokenizer.json` */
  json: unknown;
  /** `tokenizer_config.json`, which names the special tokens and has the chat template */
  config?: unknown;
}

export const MAX_CONFIG_BYTES = 2 ** 20;
const MAX_TOKENIZER_BYTES = 2 ** 28;

/** The tokenizer of the checkpoint in a folder; undefined where it has none. */
export async function readTokenizer(dir: string): Promise<Tokenizer | undefined> {
  const files = await readTokenizerFiles(dir);
  return files && loadTokenizer(files.json, files.config);
}

/**
 * The tokenizer's files; undefined where the folder has none. A special token that `tokenizer_config.json` does not
 * name is the one of `special_tokens_map.json`, else the one whose id `config.json` or `generation_config.json` gives, the
 * first where it gives several. A `chat_template.jinja` is the chat template, as in transformers, whatever the config has.
 * @throws MODEL_TOKENIZER_INVALID
 */
export async function readTokenizerFiles(dir: string): Promise<TokenizerFiles | undefined> {
  const read = (name: string, maxBytes: number) =>
    readJson(join(dir, name), maxBytes, 'MODEL_TOKENIZER_INVALID');
  const written = await read('tokenizer.json', MAX_TOKENIZER_BYTES);
  if (written === undefined) {
    await refuseOtherKinds(dir);
    return undefined;
  }
  const [config, map, model, generation] = await Promise.all(
    ['tokenizer_config.json', 'special_tokens_map.json', 'config.json', 'generation_config.json'].map(
      async (name) => fieldsOf(await read(name, MAX_CONFIG_BYTES), join(dir, name)),
    ),
  );
  const json = withAddedTokens(written, config);
  const names = namesOf(json);
  const named = Object.fromEntries(
    ['bos_token', 'eos_token', 'pad_token'].flatMap((token) => {
      const nameIn = (fields: typeof model) => {
        const [id] = [fields?.[`${token}_id`]].flat();
        return names.get(id as number);
      };
      const value = config?.[token] ?? map?.[token] ?? nameIn(model) ?? nameIn(generation);
      return value === undefined ? [] : [[token, value]];
    }),
  );
  const template = await readTemplate(dir);
  const told = { ...named, ...(template !== undefined && { chat_template: template }) };
  return { json, ...((config || Object.keys(told).length > 0) && { config: { ...config, ...told } }) };
}

/** Files of tokenizers that transformers turns into a `tokenizer.json`, and this package does not. */
const OTHER_KINDS = ['tokenizer.model', 'tekken.json', 'vocab.json'];

async function refuseOtherKinds(dir: string): Promise<void> {
  for (const name of OTHER_KINDS) {
    if (!(await exists(join(dir, name)))) continue;
    throw new ModelError(
      'MODEL_TOKENIZER_INVALID',
      `${dir}: expected a tokenizer.json, got ${name} alone: have transformers write one, with python -c "from transformers import AutoTokenizer; AutoTokenizer.from_pretrained('${dir}').save_pretrained('${dir}')"`,
    );
  }
}

const addedTokensDecoder = z.looseObject({
  added_tokens_decoder: z.record(z.string(), z.looseObject({ content: z.string() })).optional(),
});

/** transformers adds the tokens that only `tokenizer_config.json` has. */
function withAddedTokens(json: unknown, config: unknown): unknown {
  const tokens = addedTokensDecoder.safeParse(config).data?.added_tokens_decoder;
  const parsed = vocabulary.safeParse(json);
  if (!tokens || !parsed.success) return json;
  const known = new Set(parsed.data.added_tokens.map(({ id }) => id));
  const missing = Object.entries(tokens).flatMap(([id, token]) =>
    known.has(Number(id)) ? [] : [{ id: Number(id), ...token }],
  );
  return missing.length === 0
    ? json
    : { ...(json as object), added_tokens: [...parsed.data.added_tokens, ...missing] };
}

async function readTemplate(dir: string): Promise<string | undefined> {
  const path = join(dir, 'chat_template.jinja');
  const size = (await unlessMissing(stat(path)))?.size ?? 0;
  if (size > MAX_CONFIG_BYTES) {
    throw new ModelError(
      'MODEL_TOKENIZER_INVALID',
      `${path}: expected at most ${MAX_CONFIG_BYTES} bytes, the file has ${size}.`,
    );
  }
  return unlessMissing(readFile(path, 'utf8'));
}

const vocabulary = z.looseObject({
  added_tokens: z.array(z.looseObject({ id: z.number(), content: z.string() })).default([]),
  model: z.looseObject({ vocab: z.record(z.string(), z.number()) }),
});

/** Tokens by id; empty for what is not a tokenizer, which `loadTokenizer` will refuse. */
export function namesOf(json: unknown): Map<number, string> {
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
    `${path}: expected an object, got ${Array.isArray(value) ? 'a list' : JSON.stringify(value)}.`,
  );
}
