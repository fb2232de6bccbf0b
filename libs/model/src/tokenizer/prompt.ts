import type { ModelConfig } from '../model-config.js';
import type { Tokenizer } from './tokenizer.js';

/**
 * The tokens of a prompt, after those that begin a text. A prompt without any token becomes the model's beginning of
 * text, else its end of text, as in transformers' `generate`.
 */
export function promptTokens(
  tokenizer: Pick<Tokenizer, 'begin' | 'encode' | 'eosId'>,
  { bosTokenId }: Pick<ModelConfig, 'bosTokenId'>,
  text: string,
): number[] {
  const tokens = [...tokenizer.begin, ...tokenizer.encode(text)];
  return tokens.length > 0 ? tokens : [bosTokenId ?? tokenizer.eosId];
}
