import { describe, expect, it } from 'vitest';
import { trainByteLevelBpe } from './bpe-trainer.js';
import { tokenizerDifference } from './identity.js';
import { loadTokenizer } from './tokenizer.js';

const texts = ['the film was the best film', 'a film of the best kind', 'best of the best'];
type Json = Record<string, unknown> & {
  model: Record<string, unknown> & { vocab: Record<string, number>; merges: [string, string][] };
  added_tokens: Record<string, unknown>[];
};
const trained = (vocabSize: number, from = texts) => trainByteLevelBpe(from, { vocabSize }).json as Json;
const json = trained(270);
const withModel = (change: object): Json => ({ ...json, model: { ...json.model, ...change } });

describe('two tokenizers are one', () => {
  it.each<[what: string, other: unknown]>([
    ['read twice', JSON.parse(JSON.stringify(json))],
    [
      'whose texts begin and end otherwise',
      { ...json, post_processor: null, padding: { strategy: 'x' }, truncation: { max_length: 3 } },
    ],
    ['whose decoders differ', { ...json, decoder: null }],
    [
      'with merges as older versions write them',
      withModel({ merges: json.model.merges.map((m) => m.join(' ')) }),
    ],
    [
      'with an empty text for no prefix',
      withModel({ continuing_subword_prefix: '', unk_token: '<|endoftext|>' }),
    ],
    ['without what is said by default', withModel({ dropout: undefined, fuse_unk: undefined })],
    [
      'with the vocabulary in another order',
      withModel({ vocab: Object.fromEntries(Object.entries(json.model.vocab).reverse()) }),
    ],
    [
      'with offsets told otherwise',
      { ...json, pre_tokenizer: { type: 'ByteLevel', add_prefix_space: false } },
    ],
  ])('%s', (_, other) => {
    expect(tokenizerDifference(json, other)).toBeUndefined();
    expect(tokenizerDifference(other, json)).toBeUndefined();
    const [a, b] = [loadTokenizer(json), loadTokenizer(other)];
    for (const text of texts) expect(b.encode(text)).toEqual(a.encode(text));
  });
});

describe('two tokenizers are not one', () => {
  const [first, second, ...rest] = json.model.merges;
  const swapped = { ...json.model.vocab, a: json.model.vocab.b!, b: json.model.vocab.a! };
  it.each<[what: string, other: unknown, difference: RegExp]>([
    ['of other sizes', trained(265), /^270 tokens and 265$/],
    [
      'trained on other texts',
      trained(270, ['zig zag zoom zebra zinc zodiac quick quiz quiz zig zag zoom zebra zinc zodiac quick']),
      /no token/,
    ],
    ['with two ids exchanged', withModel({ vocab: swapped }), /^"." is \d+ in one and \d+ in the other$/],
    [
      'with merges in another order',
      withModel({ merges: [second!, first!, ...rest] }),
      /^merge 1 is another$/,
    ],
    ['with a merge less', withModel({ merges: json.model.merges.slice(0, -1) }), /^merge \d+ is another$/],
    ['that ignore merges', withModel({ ignore_merges: true }), /options/],
    ['that normalise', { ...json, normalizer: { type: 'Lowercase' } }, /normalise/],
    [
      'that split otherwise',
      { ...json, pre_tokenizer: { type: 'ByteLevel', add_prefix_space: true } },
      /split/,
    ],
    [
      'that match added tokens otherwise',
      { ...json, added_tokens: json.added_tokens.map((token) => ({ ...token, lstrip: true })) },
      /added tokens/,
    ],
  ])('%s', (_, other, difference) => {
    expect(tokenizerDifference(json, other)).toMatch(difference);
    expect(tokenizerDifference(other, json)).toBeDefined();
  });
});
