/** The text of tokens while they come, one after another. */
import type { Continuing, Tokenizer } from './tokenizer.js';

export interface GrowingText {
  add(token: number): void;
  /** The text so far, without the character at its end of which bytes are missing. */
  readonly text: string;
  /** Whether no bytes are missing. */
  readonly isWhole: boolean;
  /** UTF-16 units at the beginning of the text that stay as they are, whatever comes. */
  readonly certain: number;
  /** The text when no token will be added: `decode` of all of them. */
  readonly whole: string;
}

/** What is known of how tokens become text. */
export type Decoding = Pick<Tokenizer, 'bytesOf' | 'isSpecial' | 'cleansUp' | 'decode'>;

export interface GrowingTextOptions extends Required<Continuing> {
  readonly skipSpecialTokens: boolean;
}

/** Costs the same for every token, except where spaces are cleaned up: there all tokens are decoded each time. */
export const createGrowingText = (tokenizer: Decoding, options: GrowingTextOptions): GrowingText =>
  tokenizer.cleansUp ? decodedAnew(tokenizer, options) : byBytes(tokenizer, options);

const REPLACEMENT = '\ufffd';
const utf8 = new TextDecoder('utf-8', { ignoreBOM: true });

function byBytes(
  { bytesOf, isSpecial }: Decoding,
  { skipSpecialTokens, continues }: GrowingTextOptions,
): GrowingText {
  let text = '';
  /** The beginning of a character. */
  let open: Uint8Array = new Uint8Array(0);
  let isFirst = !continues;
  return {
    add(token) {
      if (skipSpecialTokens && isSpecial(token)) return;
      const bytes = Buffer.concat([open, bytesOf(token, { continues: !isFirst })]);
      const whole = bytes.length - openBytes(bytes);
      text += utf8.decode(bytes.subarray(0, whole));
      open = bytes.subarray(whole);
      isFirst = false;
    },
    get text() {
      return text;
    },
    get isWhole() {
      return open.length === 0;
    },
    get certain() {
      return text.length;
    },
    get whole() {
      return open.length === 0 ? text : text + REPLACEMENT;
    },
  };
}

/** Bytes at the end that begin a character and do not end it. */
function openBytes(bytes: Uint8Array): number {
  for (let count = Math.min(3, bytes.length); count > 0; count--) {
    const tail = bytes.subarray(-count);
    // A decoder of a stream keeps a beginning to itself, and says of anything else what it is.
    if (
      tail[0]! >= 0xc2 &&
      new TextDecoder('utf-8', { ignoreBOM: true }).decode(tail, { stream: true }) === ''
    )
      return count;
  }
  return 0;
}

/** The end of a text that `clean_up_tokenization_spaces` may change when the text goes on. */
const CLEANED_UP = /(?: (?:n'?|'[vr]?)?|')$/;

function decodedAnew({ decode }: Decoding, options: GrowingTextOptions): GrowingText {
  const tokens: number[] = [];
  let whole = '';
  const isWhole = () => !whole.endsWith(REPLACEMENT);
  const text = () => (isWhole() ? whole : whole.slice(0, -1));
  return {
    add(token) {
      tokens.push(token);
      whole = decode(tokens, options);
    },
    get text() {
      return text();
    },
    get isWhole() {
      return isWhole();
    },
    get certain() {
      return text().replace(CLEANED_UP, '').length;
    },
    get whole() {
      return whole;
    },
  };
}
