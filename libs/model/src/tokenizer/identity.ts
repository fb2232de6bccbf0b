/** Tells whether two tokenizers give every text the same ids. */
import { isDeepStrictEqual } from 'node:util';

type Json = Readonly<Record<string, unknown>>;

/**
 * The first difference between two `tokenizer.json` that can give a text other ids, as a clause to follow "they
 * differ:"; undefined where there is none. Vocabulary, merges, added tokens, normalizer and pre-tokenizer are compared.
 * What stands around a text (post-processor, padding, truncation), the decoder, and the ways in which versions of a
 * library write the same rule are not.
 */
export function tokenizerDifference(a: unknown, b: unknown): string | undefined {
  const [one, other] = [partsOf(a), partsOf(b)];
  if (one.ids.size !== other.ids.size) return `${one.ids.size} tokens and ${other.ids.size}`;
  for (const [token, id] of one.ids) {
    const otherId = other.ids.get(token);
    if (otherId !== id)
      return `${JSON.stringify(token)} is ${id} in one and ${otherId === undefined ? 'no token' : otherId} in the other`;
  }
  const merge = one.merges.findIndex((pair, i) => pair !== other.merges[i]);
  if (merge >= 0 || one.merges.length !== other.merges.length)
    return `merge ${(merge >= 0 ? merge : one.merges.length) + 1} is another`;
  const part = (['model', 'added', 'normalizer', 'preTokenizer'] as const).find(
    (name) => !isDeepStrictEqual(one[name], other[name]),
  );
  return part && `${PART_NAMES[part]} are others`;
}

const PART_NAMES = {
  model: 'options of the byte-pair encoding',
  added: 'rules for added tokens',
  normalizer: 'rules that normalise a text',
  preTokenizer: 'rules that split a text before it is encoded',
};

function partsOf(tokenizerJson: unknown) {
  const { model = {}, added_tokens: added = [], ...json } = tokenizerJson as TokenizerJson;
  const { vocab = {}, merges = [], unk_token: _, ...options } = model;
  return {
    ids: new Map([...Object.entries(vocab), ...added.map(({ content, id }) => [content, id] as const)]),
    // Older files write `a b` for `["a", "b"]`.
    merges: merges.map((pair) => (typeof pair === 'string' ? pair : pair.join(' '))),
    model: withoutDefaults(options),
    added: new Map(
      added.map(({ content, special = false, normalized = !special, single_word, lstrip, rstrip }) => [
        content,
        withoutDefaults({ normalized, single_word, lstrip, rstrip }),
      ]),
    ),
    normalizer: withoutDefaults(json.normalizer),
    preTokenizer: withoutDefaults(json.pre_tokenizer),
  };
}

interface TokenizerJson {
  readonly model?: Json & {
    readonly vocab?: Readonly<Record<string, number>>;
    readonly merges?: readonly (string | readonly string[])[];
  };
  readonly added_tokens?: readonly (Json & {
    readonly content: string;
    readonly id: number;
    readonly special?: boolean;
    readonly normalized?: boolean;
  })[];
  readonly normalizer?: unknown;
  readonly pre_tokenizer?: unknown;
}

/** Keys that change offsets, and no ids. */
const OFFSETS = ['trim_offsets'];

/** Rules without the fields that have their default, since files may leave those out. */
function withoutDefaults(json: unknown): unknown {
  if (Array.isArray(json)) return json.map(withoutDefaults);
  if (typeof json !== 'object' || json === null) return json ?? undefined;
  const said = Object.entries(json).filter(
    ([key, value]) =>
      !OFFSETS.includes(key) &&
      !(key === 'use_regex' && value === true) &&
      ![null, undefined, false, ''].includes(value),
  );
  return Object.fromEntries(said.map(([key, value]) => [key, withoutDefaults(value)]));
}
