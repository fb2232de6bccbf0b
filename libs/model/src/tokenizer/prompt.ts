import type { ModelConfig } from '../model-config.js';
import type { Tokenizer } from './tokenizer.js';

/**
 * A prompt as a model continues it: after the tokens that begin a text. Where that is no token at all, it is the
 * beginning of text that the model names, else the end of text, as in transformers' `generate`.
 */
export function promptTokens(
  tokenizer: Pick<Tokenizer, 'begin' | 'encode' | 'eosId'>,
  { bosTokenId }: Pick<ModelConfig, 'bosTokenId'>,
  text: string,
): number[] {
  const tokens = [...tokenizer.begin, ...tokenizer.encode(text)];
  return tokens.length > 0 ? tokens : [bosTokenId ?? tokenizer.eosId];
}
