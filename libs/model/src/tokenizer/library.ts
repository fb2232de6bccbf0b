/**
 * @huggingface/tokenizers, made to compute what Python's `tokenizers` computes. It reads a `tokenizer.json` in which the
 * rules it takes otherwise are written in terms of others, and two of its decoders are corrected. `library.test.ts`
 * names each fault.
 */
import { isDeepStrictEqual } from 'node:util';
import { Tokenizer as HuggingFaceTokenizer } from '@huggingface/tokenizers';
import { byteAlphabet } from './byte-alphabet.js';
import {
  eachRule,
  escaped,
  literal,
  type Rule,
  rewrittenPreTokenizer,
  withoutPrefix,
  withoutStripping,
} from './library-rules.js';

export interface AddedToken {
  readonly id: number;
  readonly content: string;
  readonly special?: boolean | undefined;
  readonly lstrip?: boolean | undefined;
  readonly rstrip?: boolean | undefined;
  readonly single_word?: boolean | undefined;
}

export interface LibraryOptions {
  /** Takes the spaces away that `clean_up_tokenization` of transformers does. */
  readonly cleanUp: boolean;
  /** Special tokens that are written out in a text are text. */
  readonly splitSpecialTokens: boolean;
}

/** Text to ids and back; `continues`: the text goes on after another one, and begins with no space of the tokenizer's own. */
export interface LibraryTokenizer {
  encode(text: string, continues: boolean): number[];
  /** @param ids each has a token; at least one */
  decode(ids: number[], options: { skipSpecialTokens: boolean; continues: boolean }): string;
  tokenOf(id: number): string | undefined;
  bytesOf(id: number, continues: boolean): Uint8Array;
  isSpecial(id: number): boolean;
  idOf(token: string): number | undefined;
}

/** @throws Error for rules that cannot be computed */
export function openLibrary(
  tokenizerJson: Rule & { readonly added_tokens: readonly AddedToken[] },
  { cleanUp, splitSpecialTokens }: LibraryOptions,
): LibraryTokenizer {
  const { added_tokens: added, normalizer, pre_tokenizer, decoder } = tokenizerJson;
  const single = added.find((token) => token.single_word);
  if (single)
    throw new Error(
      `added_tokens: expected none of single_word, which is not supported, got ${single.content}`,
    );

  const open = (parts: Rule, taken = added): HuggingFaceTokenizer => {
    const opened = new HuggingFaceTokenizer(
      {
        ...tokenizerJson,
        ...parts,
        normalizer: literal(parts.normalizer),
        pre_tokenizer: rewrittenPreTokenizer(parts.pre_tokenizer),
        decoder: literal(parts.decoder),
        // The library's post-processors look tokens up by name where `tokenizers` has their ids.
        post_processor: null,
        added_tokens: taken.map((token) => ({ ...token, lstrip: false, rstrip: false })),
      },
      { clean_up_tokenization_spaces: cleanUp },
    );
    if (opened.decoder) correct(opened.decoder, parts.decoder as Rule);
    return opened;
  };
  const rules = { normalizer, pre_tokenizer, decoder };
  const whole = open(rules);
  /** Other rules over the same vocabulary, which is what is large. */
  const over = (parts: Rule, taken?: readonly AddedToken[]): HuggingFaceTokenizer => {
    const opened = open({ ...parts, model: { type: 'BPE', vocab: {}, merges: [] } }, taken);
    opened.model = whole.model;
    return opened;
  };
  const read = splitSpecialTokens ? added.filter(({ special }) => !special) : added;
  const beginning = splitSpecialTokens ? over(rules, read) : whole;
  const further = {
    normalizer: withoutPrefix(normalizer),
    pre_tokenizer: withoutPrefix(pre_tokenizer),
    decoder: withoutStripping(decoder),
  };
  const isSame = (Object.keys(rules) as (keyof typeof rules)[]).every((part) =>
    isDeepStrictEqual(further[part], rules[part] ?? null),
  );
  const continuing = isSame ? beginning : over(further, read);
  const decoding = isSame ? whole : over(further);
  const strip = stripping(read);
  const special = new Set(added.filter((token) => token.special).map(({ id }) => id));
  const decode: LibraryTokenizer['decode'] = (ids, { skipSpecialTokens, continues }) => {
    const shown = ids.filter(
      (id) => whole.id_to_token(id) !== undefined && !(skipSpecialTokens && special.has(id)),
    );
    // The library throws at an empty list.
    return shown.length === 0 ? '' : (continues ? decoding : whole).decode(shown);
  };
  const ownBytes = bytesBy(decoder);
  const contents = new Map(added.map(({ id, content }) => [id, content]));

  return {
    encode: (text, continues) =>
      (continues ? continuing : beginning).encode(strip(text), { add_special_tokens: false }).ids,
    decode,
    tokenOf: (id) => whole.id_to_token(id),
    isSpecial: (id) => special.has(id),
    bytesOf(id, continues) {
      const content = contents.get(id);
      if (content !== undefined) return utf8.encode(content);
      const bytes = ownBytes(whole.id_to_token(id) ?? '');
      // What is taken away at the beginning may also be a space that came as a byte.
      const isPart = bytes !== undefined && (continues || bytes.length > 1 || bytes[0]! >= 0x80);
      return isPart ? bytes : utf8.encode(decode([id], { skipSpecialTokens: false, continues }));
    },
    idOf: (token) => whole.token_to_id(token),
  };
}

const utf8 = new TextEncoder();
const byteOf = new Map(byteAlphabet().map((character, byte) => [character, byte]));

/** How tokens stand for bytes: each character for one (ByteLevel), or the whole token (ByteFallback). */
function bytesBy(decoder: unknown): (token: string) => Uint8Array | undefined {
  const types = new Set<unknown>();
  eachRule(decoder, (one) => {
    types.add(one.type);
    return one;
  });
  if (types.has('ByteLevel')) {
    return (token) => {
      const bytes = Array.from(token, (character) => byteOf.get(character));
      return bytes.every((byte) => byte !== undefined) ? Uint8Array.from(bytes) : utf8.encode(token);
    };
  }
  if (types.has('ByteFallback')) {
    return (token) => {
      const [, byte] = /^<0x([0-9A-F]{2})>$/.exec(token) ?? [];
      return byte === undefined ? undefined : Uint8Array.of(Number.parseInt(byte, 16));
    };
  }
  return () => undefined;
}

/** What is used of the library's decoders; the types that it ships are not found in ESM. */
interface LibraryDecoder {
  readonly decoders: readonly LibraryDecoder[];
  text_decoder: { decode(bytes: Uint8Array): string };
  decode_chain: (tokens: readonly string[]) => string[];
}

/** @param rule what the decoder was made from */
function correct(decoder: LibraryDecoder, rule: Rule): void {
  switch (rule.type) {
    case 'Sequence':
      decoder.decoders.forEach((one, i) => {
        correct(one, (rule.decoders as Rule[])[i]!);
      });
      return;
    case 'ByteFallback':
      // It would drop U+FEFF at the beginning of every row of bytes.
      decoder.text_decoder = new TextDecoder('utf-8', { ignoreBOM: true });
      return;
    case 'Metaspace': {
      // It takes one space away from the first token, where `tokenizers` takes all, and also where none was put.
      const { replacement = '▁', prepend_scheme: scheme } = rule as {
        replacement?: string;
        prepend_scheme?: string;
      };
      decoder.decode_chain = (tokens) =>
        tokens.map((token, i) => token.replaceAll(replacement, scheme !== 'never' && i === 0 ? '' : ' '));
    }
  }
}

/** Takes the white space away that added tokens of `lstrip` and `rstrip` stand for: that of Unicode, not of JavaScript. */
function stripping(added: readonly AddedToken[]): (text: string) => string {
  const tokens = new Map(
    added.filter(({ lstrip, rstrip }) => lstrip || rstrip).map((token) => [token.content, token]),
  );
  if (tokens.size === 0) return (text) => text;
  const longestFirst = [...tokens.keys()].sort((a, b) => b.length - a.length).map(escaped);
  const pattern = new RegExp(`(${longestFirst.join('|')})`, 'u');
  return (text) => {
    const parts = text.split(pattern);
    for (let i = 1; i < parts.length; i += 2) {
      const { lstrip, rstrip } = tokens.get(parts[i]!)!;
      if (lstrip) parts[i - 1] = parts[i - 1]!.slice(0, spaceFrom(parts[i - 1]!));
      if (rstrip) parts[i + 1] = parts[i + 1]!.replace(/^\p{White_Space}+/u, '');
    }
    return parts.join('');
  };
}

/** Where the white space at the end of a text begins. */
function spaceFrom(text: string): number {
  let from = text.length;
  while (from > 0 && /\p{White_Space}/u.test(text[from - 1]!)) from--;
  return from;
}
