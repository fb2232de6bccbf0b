import type { ModelConfig } from '../model-config.js';
import { exportedTokenizer } from '../tokenizer/exported.js';
import type { TokenizerFiles } from '../tokenizer/files.js';
import { loadTokenizer } from '../tokenizer/tokenizer.js';

/** A model but for its weights. */
interface Exported {
  readonly config: ModelConfig;
  readonly tokenizer?: TokenizerFiles | undefined;
  readonly extraFiles: ReadonlyMap<string, string | Uint8Array>;
}

const GENERATION_CONFIG = 'generation_config.json';

/**
 * A trained model's files as they are published: its tokenizer says how texts begin and end (`exportedTokenizer`), and
 * generation ends at the token that ended the texts it learned, as transformers' trainers leave it.
 */
export function exportedCheckpoint({ config, tokenizer, extraFiles }: Exported): Exported {
  if (!tokenizer) return { config, extraFiles };
  const exported = exportedTokenizer(tokenizer, config);
  const { eosId, end } = loadTokenizer(exported.json, exported.config);
  return {
    config: { ...withoutPadding(config, end), eosTokenId: eosId },
    tokenizer: exported,
    extraFiles: new Map(
      [...extraFiles].map(([name, contents]) => [
        name,
        name === GENERATION_CONFIG ? ending(contents, eosId) : contents,
      ]),
    ),
  };
}

/** transformers reads a score at the last token that is no padding: where texts end with the padding, none is named. */
function withoutPadding(config: ModelConfig, end: readonly number[]): ModelConfig {
  const { padTokenId, ...rest } = config;
  return padTokenId !== undefined && end.includes(padTokenId) ? rest : config;
}

/** A `generation_config.json` whose generation ends at this token too; what is no such file stays as it is. */
function ending(contents: string | Uint8Array, eosId: number): string | Uint8Array {
  const fields = objectIn(Buffer.from(contents).toString());
  if (!fields) return contents;
  const given = [fields.eos_token_id ?? []].flat();
  if (given.includes(eosId)) return contents;
  const ends = given.length === 0 ? eosId : [eosId, ...given];
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
