import type { ModelConfig } from '../model-config.js';
import { exportedTokenizer } from '../tokenizer/exported.js';
import type { TokenizerFiles } from '../tokenizer/files.js';
import { loadTokenizer } from '../tokenizer/tokenizer.js';

/** Everything of a model but its weights. */
interface Exported {
  readonly config: ModelConfig;
  readonly tokenizer?: TokenizerFiles | undefined;
  readonly extraFiles: ReadonlyMap<string, string | Uint8Array>;
}

const GENERATION_CONFIG = 'generation_config.json';

/**
 * The files of a trained model as it is published. Its tokenizer says how texts begin and end ({@link exportedTokenizer}),
 * and generation ends at the token that ended the texts of the training, which transformers' trainers set as well.
 */
export function exportedCheckpoint({ config, tokenizer, extraFiles }: Exported): Exported {
  if (!tokenizer) return { config, extraFiles };
  const exported = exportedTokenizer(tokenizer, config);
  const { eosId, end } = loadTokenizer(exported.json, exported.config);
  return {
    config: { ...withoutPadding(config, end), eosTokenIds: withEnd(config.eosTokenIds, eosId) },
    tokenizer: exported,
    extraFiles: new Map(
      [...extraFiles].map(([name, contents]) => [
        name,
        name === GENERATION_CONFIG ? ending(contents, eosId) : contents,
      ]),
    ),
  };
}

/**
 * transformers reads a score at the last token that is not padding. Where texts end with the padding token the config
 * names no padding, or the score would be read one token too early.
 */
function withoutPadding(config: ModelConfig, end: readonly number[]): ModelConfig {
  const { padTokenId, ...rest } = config;
  return padTokenId !== undefined && end.includes(padTokenId) ? rest : config;
}

const withEnd = (ids: readonly number[] = [], end: number): readonly number[] =>
  ids.includes(end) ? ids : [end, ...ids];

/** Adds a token to the `eos_token_id` of a `generation_config.json`; contents that are no JSON object stay as they are. */
function ending(contents: string | Uint8Array, eosId: number): string | Uint8Array {
  const fields = objectIn(Buffer.from(contents).toString());
  if (!fields) return contents;
  const given = [fields.eos_token_id ?? []].flat() as number[];
  if (given.includes(eosId)) return contents;
  const ends = given.length === 0 ? eosId : withEnd(given, eosId);
  return `${JSON.stringify({ ...fields, eos_token_id: ends }, null, 2)}\n`;
}

function objectIn(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : undefined;
  } catch {
    return undefined;
  }
}
