/** How texts become tokens of a run's model. */
import {
  type EncodedPrompt,
  encodePrompt,
  type Message,
  type ModelConfig,
  type Tokenizer,
} from '@rlhf-streams/model';

export interface Encoder {
  readonly contextLength: number;
  /** Tokens that the tokenizer puts before a text; may be empty. */
  readonly begin: readonly number[];
  encode(text: string): number[];
  /** A prompt to sample from: a text or a conversation, as text and as tokens, at least one. */
  prompt(prompt: string | readonly Message[]): Pick<EncodedPrompt, 'text' | 'tokens'>;
  /** Token that ends a completion. */
  readonly end: number;
}

export const encoderOf = (
  tokenizer: Pick<Tokenizer, 'begin' | 'encode' | 'eosId' | 'renderChat'>,
  config: Pick<ModelConfig, 'contextLength' | 'bosTokenId'>,
): Encoder => ({
  contextLength: config.contextLength,
  begin: tokenizer.begin,
  encode: (text) => tokenizer.encode(text),
  prompt: (prompt) => encodePrompt(tokenizer, config, prompt),
  end: tokenizer.eosId,
});
