/** How texts and conversations become tokens of a run's model. */
import type { Said, Tools } from '@rlhf-streams/data';
import {
  type EncodedPrompt,
  encodePrompt,
  type Message,
  type ModelConfig,
  type Tokenizer,
} from '@rlhf-streams/model';
import { isModelError } from '@rlhf-streams/model/errors';
import type { Reason } from './account.js';
import {
  type Demonstrated,
  type EncodedAnswers,
  encodeAnswers,
  encodeAssistantTurns,
  encodeConversation,
  isTalk,
} from './conversations.js';
import { lost } from './reasons.js';

interface Dropped {
  readonly dropped: Reason;
}

export interface Encoder {
  readonly contextLength: number;
  /** Tokens that the tokenizer puts before a text; may be empty. */
  readonly begin: readonly number[];
  encode: Tokenizer['encode'];
  /** Token that ends a completion. */
  readonly end: number;
  /** Whether the model has a chat template. */
  readonly readsConversations: boolean;
  /** A prompt to sample from: a text or a conversation, as text and as tokens, at least one. */
  prompt(prompt: Said, tools?: Tools): Pick<EncodedPrompt, 'text' | 'tokens'> | Dropped;
  /** A prompt with completions. Each has the end token, unless texts go on (`ends: false`). */
  answers(
    prompt: Said,
    completions: readonly Said[],
    options?: { readonly tools?: Tools | undefined; readonly ends?: boolean },
  ): EncodedAnswers | Dropped;
  /** A conversation to imitate: all of it, or what the assistant says from message `first` on; undefined where it says nothing. */
  conversation(
    messages: readonly Message[],
    options: { readonly assistantOnly: boolean; readonly first?: number; readonly tools?: Tools | undefined },
  ): Demonstrated | undefined | Dropped;
}

/** What conversations the model's chat template refuses are rows lost; a model without one reads none at all. */
export function encoderOf(
  tokenizer: Pick<
    Tokenizer,
    'begin' | 'encode' | 'eosId' | 'tokenOf' | 'renderChat' | 'renderGenerations' | 'hasChatTemplate'
  >,
  config: Pick<ModelConfig, 'contextLength' | 'bosTokenId'>,
  endTokens: readonly number[] = [tokenizer.eosId],
): Encoder {
  const { begin, encode, eosId: end } = tokenizer;
  const reader = { ...tokenizer, endTokens };
  return {
    contextLength: config.contextLength,
    begin,
    encode,
    end,
    readsConversations: tokenizer.hasChatTemplate,
    prompt: (prompt, tools) => unlessRefused(() => encodePrompt(tokenizer, config, prompt, tools)),
    answers(prompt, completions, { tools, ends = true } = {}) {
      if (isTalk(prompt))
        return unlessRefused(() => encodeAnswers(reader, prompt, completions.filter(isTalk), tools));
      return {
        promptText: prompt,
        promptTokens: [...begin, ...encode(prompt)],
        completions: completions.map((said) => {
          const text = said as string;
          const tokens = encode(text, { continues: prompt !== '' });
          return { text, tokens: [...tokens, ...(ends ? [end] : [])] };
        }),
      };
    },
    conversation: (messages, { assistantOnly, ...options }) =>
      unlessRefused(() =>
        assistantOnly
          ? encodeAssistantTurns(reader, messages, options)
          : encodeConversation(reader, messages, options.tools),
      ),
  };
}

function unlessRefused<T>(work: () => T): T | Dropped {
  try {
    return work();
  } catch (error) {
    if (!isModelError(error) || error.code !== 'MODEL_CHAT_TEMPLATE') throw error;
    return { dropped: lost(error.message) };
  }
}
