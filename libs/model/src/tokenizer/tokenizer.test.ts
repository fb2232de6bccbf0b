import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { tokenText } from './token-text.js';
import { loadTokenizer } from './tokenizer.js';

const fixture = (path: string) =>
  JSON.parse(readFileSync(new URL(`../../fixtures/tokenizers/${path}`, import.meta.url), 'utf8'));

interface Golden {
  vocab_size: number;
  eos: number;
  pad: number;
  cases: { text: string; ids: number[]; decoded: string; decoded_skip_special: string }[];
}

describe.each(['gpt2', 'qwen2'])('the %s tokenizer', (name) => {
  const golden: Golden = fixture(`${name}/expected.json`);
  const tokenizer = loadTokenizer(
    fixture(`${name}/tokenizer.json`),
    fixture(`${name}/tokenizer_config.json`),
  );

  it.each(golden.cases)('gives the ids and the text of transformers for $text', (expected) => {
    expect(tokenizer.encode(expected.text)).toEqual(expected.ids);
    expect(tokenizer.decode(expected.ids)).toBe(expected.decoded);
    expect(tokenizer.decode(Int32Array.from(expected.ids), { skipSpecialTokens: true })).toBe(
      expected.decoded_skip_special,
    );
  });

  it('says what its post-processor puts around a text', () => {
    expect(tokenizer).toMatchObject({ begin: [], end: [] });
  });

  it('knows its special tokens', () => {
    expect(tokenizer).toMatchObject({ vocabSize: golden.vocab_size, eosId: golden.eos, padId: golden.pad });
    expect(tokenizer.idOf('<|pad|>')).toBe(golden.pad);
    expect(tokenizer.idOf('no such token')).toBeUndefined();
    expect(tokenizer.tokenOf(golden.pad)).toBe('<|pad|>');
    expect(tokenizer.tokenOf(golden.vocab_size)).toBeUndefined();
  });

  it('has a text for every token, and another one for every other', () => {
    const ids = Array.from({ length: golden.vocab_size }, (_, id) => id).filter((id) =>
      tokenizer.tokenOf(id),
    );
    const texts = ids.map((id) => tokenText(tokenizer, id));
    expect(new Set(texts).size).toBe(ids.length);
    expect(texts).toContain('<|pad|>');
    expect(texts.filter((text) => text.startsWith('bytes:')).length).toBeGreaterThanOrEqual(128);
  });
});

it('writes the bytes of a token that is a part of a character', () => {
  const tokenizer = loadTokenizer(fixture('gpt2/tokenizer.json'), fixture('gpt2/tokenizer_config.json'));
  const texts = tokenizer.encode('a\u{10FFFF} b').map((id) => tokenText(tokenizer, id));
  expect(texts).toEqual(['a', 'bytes:\\xf4', 'bytes:\\x8f', 'bytes:\\xbf', 'bytes:\\xbf', ' b']);
});

describe('loadTokenizer', () => {
  const json = fixture('gpt2/tokenizer.json');

  it('keeps the spaces before punctuation', () => {
    const { encode, decode } = loadTokenizer(json);
    expect(decode(encode("Well , it 's here ."))).toBe("Well , it 's here .");
  });

  it('pads with the end of text where no padding is named', () => {
    const added_tokens = [{ ...json.added_tokens[0] }];
    const vocab = Object.fromEntries(
      Object.entries(json.model.vocab).filter(([token]) => token !== '<|pad|>'),
    );
    const tokenizer = loadTokenizer({ ...json, added_tokens, model: { ...json.model, vocab } });
    expect(tokenizer.padId).toBe(tokenizer.eosId);
  });

  it('decodes ids beyond the vocabulary to nothing, and refuses what is no id', () => {
    const { decode, encode } = loadTokenizer(json);
    expect(decode([...encode('a'), 5000])).toBe('a');
    expect(() => decode([0.5])).toThrow(expect.objectContaining({ code: 'MODEL_TOKENIZER_IDS' }));
    expect(() => decode([3, -1])).toThrow(expect.objectContaining({ code: 'MODEL_TOKENIZER_IDS' }));
  });

  it.each<[string, unknown, unknown]>([
    ['null', null, {}],
    ['no model', {}, {}],
    ['a Unigram model', { ...json, model: { type: 'Unigram', vocab: [] } }, {}],
    ['a decoder nobody knows', { ...json, decoder: { type: 'Rot13' } }, {}],
    ['an id that is no integer', { ...json, model: { ...json.model, vocab: { a: 0.5 } } }, {}],
    ['an end of text that is no token', json, { eos_token: '</s>' }],
    ['padding that is no token', json, { pad_token: '[PAD]' }],
    [
      'a post-processor of no token',
      { ...json, post_processor: { type: 'BertProcessing', cls: ['[CLS]', 5000], sep: ['a', 64] } },
      {},
    ],
  ])('refuses %s', (_, tokenizerJson, config) => {
    expect(() => loadTokenizer(tokenizerJson, config)).toThrow(
      expect.objectContaining({ code: 'MODEL_TOKENIZER_INVALID' }),
    );
  });
});
