import type { ModelConfig } from '../model-config.js';
import type { ChatOptions, Message } from './chat-template.js';
import type { Tokenizer } from './tokenizer.js';

/** A prompt as a model is given it. */
export interface EncodedPrompt {
  readonly text: string;
  readonly tokens: number[];
  /** Index of the token at which the text begins; those before it begin every text. */
  readonly begin: number;
}

/**
 * A prompt as tokens. A text follows the tokens that begin every text; one without any token becomes the model's beginning
 * of text, else the tokenizer's, else its end of text, as in transformers' `generate`. A conversation becomes the text that the model's chat
 * template makes of it, up to where the answer begins, and nothing is added to that, as in `apply_chat_template`.
 * @throws ModelError MODEL_CHAT_TEMPLATE_MISSING, MODEL_CHAT_TEMPLATE
 */
export function encodePrompt(
  tokenizer: Pick<Tokenizer, 'begin' | 'bosId' | 'encode' | 'eosId' | 'renderChat'>,
  { bosTokenId }: Pick<ModelConfig, 'bosTokenId'>,
  prompt: string | readonly Message[],
  tools?: ChatOptions['tools'],
): EncodedPrompt {
  const isText = typeof prompt === 'string';
  const text = isText ? prompt : tokenizer.renderChat(prompt, { tools });
  const begin = isText ? tokenizer.begin : [];
  const tokens = [...begin, ...tokenizer.encode(text)];
  if (tokens.length > 0) return { text, tokens, begin: begin.length };
  return { text, tokens: [bosTokenId ?? tokenizer.bosId ?? tokenizer.eosId], begin: 1 };
}
