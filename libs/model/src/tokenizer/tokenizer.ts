/** Text to token ids and back, from the files of a Hugging Face tokenizer. */
import { z } from 'zod';
import { ModelError } from '../errors.js';
import {
  type ChatOptions,
  hasChatTemplate,
  type Message,
  renderChat,
  renderGenerations,
} from './chat-template.js';
import { type LibraryTokenizer, openLibrary } from './library.js';
import { frameOf } from './post-processor.js';

export interface Tokenizer {
  /**
   * The ids of a text. Special tokens that are written out in it become their ids, unless `tokenizer_config.json` sets
   * `split_special_tokens`; none are added.
   */
  encode(text: string, options?: Continuing): number[];
  /** The text of ids; bytes that are no UTF-8 become U+FFFD, ids without a token nothing. */
  decode(ids: ArrayLike<number>, options?: Continuing & { readonly skipSpecialTokens?: boolean }): string;
  /** A token as it stands in the vocabulary. */
  tokenOf(id: number): string | undefined;
  /** What a token adds to a text, in UTF-8: bytes that may be a part of a character. A token may begin the text, or continue it. */
  bytesOf(id: number, options: Required<Continuing>): Uint8Array;
  isSpecial(id: number): boolean;
  /** Whether spaces before punctuation are taken away from what is decoded. */
  cleansUp: boolean;
  /** One more than the highest id. */
  vocabSize: number;
  /** The id of one token as it stands in the vocabulary, e.g. `Ġthe` or `<|endoftext|>`. */
  idOf(token: string): number | undefined;
  /** The tokens that the tokenizer's own post-processor puts before a text. */
  begin: readonly number[];
  /** The tokens that the tokenizer's own post-processor puts after a text. */
  end: readonly number[];
  /** The token that begins a text that has no other beginning, where the tokenizer names one. */
  bosId?: number;
  /** The token that ends a text. Generation may end at others too: `readEndTokens`. */
  eosId: number;
  /** The token that fills batches: the end of text where the tokenizer names no other. */
  padId: number;
  /** The text of a conversation, by the chat template of `tokenizer_config.json`. @throws as `renderChat` does */
  renderChat(messages: readonly Message[], options?: ChatOptions): string;
  /** What stands in `{% generation %}` blocks of the chat template, as `renderGenerations` gives it. */
  renderGenerations(
    messages: readonly Message[],
    options?: ChatOptions,
  ): ReturnType<typeof renderGenerations>;
  /** Whether there is a chat template. */
  hasChatTemplate: boolean;
  /** The `tokenizer.json` it was made from. */
  json: unknown;
}

/**
 * `continues`: the text goes on after another one, as a completion does after its prompt. Tokenizers like Llama 2's put a
 * space before a text, and take it away when they decode: not so where the text goes on.
 */
export interface Continuing {
  readonly continues?: boolean;
}

const id = z.int().nonnegative();
const flag = z.boolean().optional();
const addedToken = z.looseObject({
  id,
  content: z.string(),
  special: flag,
  lstrip: flag,
  rstrip: flag,
  single_word: flag,
});
const tokenizerSchema = z.looseObject({
  added_tokens: z.array(addedToken).default([]),
  post_processor: z.unknown(),
  model: z.looseObject({
    type: z.literal('BPE'),
    vocab: z.record(z.string(), id),
    merges: z.array(z.unknown()),
  }),
});
const namedToken = z.union([z.string(), z.looseObject({ content: z.string() }).transform((t) => t.content)]);
const configSchema = z.looseObject({
  bos_token: namedToken.nullish(),
  eos_token: namedToken.nullish(),
  pad_token: namedToken.nullish(),
  clean_up_tokenization_spaces: z.boolean().nullish(),
  split_special_tokens: z.boolean().nullish(),
});

/** The special tokens of a tokenizer that is trained here, or whose files name none. */
export const END_OF_TEXT = '<|endoftext|>';
export const PADDING = '<|pad|>';

/**
 * Makes a tokenizer from the parsed `tokenizer.json` and `tokenizer_config.json` of a checkpoint.
 * @param tokenizerConfig names the special tokens; without it they are `<|endoftext|>` and `<|pad|>`
 * @throws MODEL_TOKENIZER_INVALID
 */
export function loadTokenizer(tokenizerJson: unknown, tokenizerConfig: unknown = {}): Tokenizer {
  const json = checked(tokenizerSchema, tokenizerJson, 'tokenizer.json');
  const config = checked(configSchema, tokenizerConfig, 'tokenizer_config.json');
  // The library would by default take spaces before punctuation away, and decode(encode(text)) would not be text.
  const cleanUp = config.clean_up_tokenization_spaces ?? false;
  const splitSpecialTokens = config.split_special_tokens ?? false;
  const tokenizer = opened(
    { ...(tokenizerJson as object), added_tokens: json.added_tokens },
    { cleanUp, splitSpecialTokens },
  );
  const ids = new Set([...Object.values(json.model.vocab), ...json.added_tokens.map((token) => token.id)]);
  const eosId = idOfNamed(config.eos_token ?? END_OF_TEXT);
  if (eosId === undefined) {
    throw new ModelError(
      'MODEL_TOKENIZER_INVALID',
      `tokenizer: expected ${config.eos_token ?? END_OF_TEXT} among the tokens; name the end of text as eos_token in tokenizer_config.json.`,
    );
  }
  const padId = idOfNamed(config.pad_token ?? PADDING);
  if (padId === undefined && config.pad_token) {
    throw new ModelError(
      'MODEL_TOKENIZER_INVALID',
      `tokenizer: pad_token ${config.pad_token} of tokenizer_config.json is not among the tokens of tokenizer.json.`,
    );
  }

  const bosId = config.bos_token ? idOfNamed(config.bos_token) : undefined;

  const frame = frameOf(json.post_processor);
  const unknown = [...frame.begin, ...frame.end].find((id) => !ids.has(id));
  if (unknown !== undefined) {
    throw new ModelError(
      'MODEL_TOKENIZER_INVALID',
      `tokenizer.json: its post_processor puts token ${unknown} around texts, which is not in its vocabulary.`,
    );
  }

  return {
    encode: (text, { continues = false } = {}) => tokenizer.encode(text, continues),
    decode(ids, { skipSpecialTokens = false, continues = false } = {}) {
      const list = Array.from(ids);
      const wrong = list.find((value) => !Number.isSafeInteger(value) || value < 0);
      if (wrong !== undefined) {
        throw new ModelError('MODEL_TOKENIZER_IDS', `Token ids must be non-negative integers, got ${wrong}.`);
      }
      return tokenizer.decode(list, { skipSpecialTokens, continues });
    },
    tokenOf: tokenizer.tokenOf,
    bytesOf: (id, { continues }) => tokenizer.bytesOf(id, continues),
    isSpecial: tokenizer.isSpecial,
    cleansUp: cleanUp,
    vocabSize: ids.size === 0 ? 0 : maximum(ids) + 1,
    idOf: idOfNamed,
    ...frame,
    ...(bosId !== undefined && { bosId }),
    eosId,
    padId: padId ?? eosId,
    renderChat: (messages, options) => renderChat(tokenizerConfig, messages, options),
    renderGenerations: (messages, options) => renderGenerations(tokenizerConfig, messages, options),
    hasChatTemplate: hasChatTemplate(tokenizerConfig),
    json: tokenizerJson,
  };

  function idOfNamed(token: string): number | undefined {
    return tokenizer.idOf(token);
  }
}

function opened(...[json, options]: Parameters<typeof openLibrary>): LibraryTokenizer {
  try {
    return openLibrary(json, options);
  } catch (cause) {
    throw new ModelError('MODEL_TOKENIZER_INVALID', `tokenizer.json: ${(cause as Error).message}`, { cause });
  }
}

function maximum(values: Iterable<number>): number {
  let highest = 0;
  for (const value of values) if (value > highest) highest = value;
  return highest;
}

function checked<T extends z.ZodType>(type: T, value: unknown, source: string): z.output<T> {
  const parsed = type.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new ModelError('MODEL_TOKENIZER_INVALID', `${source}: ${z.prettifyError(parsed.error)}`, {
    cause: parsed.error,
  });
}
