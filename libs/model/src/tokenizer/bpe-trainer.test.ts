import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { trainByteLevelBpe } from './bpe-trainer.js';
import { loadTokenizer } from './tokenizer.js';

/** Each text twice, so that every pair repeats and merges never run out. */
const texts = [
  'The film is a film about a film, and the best of the year.',
  'the worst of the year; I have seen 12 of them, and 12 times I left.',
  "It's the kind of thing they've done before\n\n    and they'll do again.",
  'Ein schöner Film über Größe – наконец-то. 🎬🎬🎬',
].flatMap((text) => [text, text]);
const train = (vocabSize: number, corpus = texts) => trainByteLevelBpe(corpus, { vocabSize });
const load = (vocabSize: number) => {
  const { json, config } = train(vocabSize);
  return loadTokenizer(json, config);
};
const mergesOf = (vocabSize: number, corpus = texts) =>
  (train(vocabSize, corpus).json as { model: { merges: [string, string][] } }).model.merges;

describe('trainByteLevelBpe', () => {
  const tokenizer = load(300);

  it("learns the vocabulary and the merges of Python's tokenizers", () => {
    const golden = JSON.parse(
      readFileSync(new URL('../../fixtures/tokenizers/trained.json', import.meta.url), 'utf8'),
    );
    const { json } = trainByteLevelBpe(golden.texts, { vocabSize: golden.vocab_size });
    expect(json).toMatchObject({ model: { vocab: golden.vocab, merges: golden.merges } });
  });

  it('takes the most frequent pair first, of equals the one with the smallest ids', () => {
    expect(mergesOf(260, ['ab ab ab cd cd cd'])).toEqual([
      ['a', 'b'],
      ['c', 'd'],
    ]);
    expect(mergesOf(259, ['xaxaxa'])).toEqual([['x', 'a']]);
    expect(mergesOf(260, ['aaaa aaaa'])).toEqual([
      ['a', 'a'],
      ['aa', 'aa'],
    ]);
  });

  it('begins a text with the end of the one before it', () => {
    expect(tokenizer).toMatchObject({ begin: [0], end: [] });
    const { json, config } = trainByteLevelBpe(texts, { vocabSize: 260, specialTokens: ['<eos>'] });
    expect(loadTokenizer(json, config)).toMatchObject({ begin: [0], end: [], eosId: 0 });
  });

  it('gives special tokens the first ids, then bytes, then merges', () => {
    expect([tokenizer.eosId, tokenizer.padId, tokenizer.idOf('!'), tokenizer.vocabSize]).toEqual([
      0, 1, 2, 300,
    ]);
    expect(tokenizer.encode('<|endoftext|>a<|pad|>')).toEqual([0, tokenizer.idOf('a'), 1]);
    expect(tokenizer.decode([0, tokenizer.idOf('a')!, 1], { skipSpecialTokens: true })).toBe('a');
    const chat = trainByteLevelBpe(texts, { vocabSize: 260, specialTokens: ['<eos>', '<pad>', '<user>'] });
    expect(loadTokenizer(chat.json, chat.config).encode('<user><eos>')).toEqual([2, 0]);
  });

  it('never merges text into a special token', () => {
    const specialTokens = ['<|endoftext|>', 'film'];
    const { json, config } = trainByteLevelBpe(texts, { vocabSize: 320, specialTokens });
    const merged = (json as { model: { merges: [string, string][] } }).model.merges.map((pair) =>
      pair.join(''),
    );
    expect(merged).not.toContain('film');
    expect(loadTokenizer(json, config).eosId).toBe(0);
  });

  it('is a function of its texts', () => {
    expect(JSON.stringify(train(320))).toBe(JSON.stringify(train(320)));
    expect(mergesOf(300)).toEqual(mergesOf(320).slice(0, 300 - 258));
  });

  it('shortens the text with every merge', () => {
    const length = (vocabSize: number) => {
      const { encode } = load(vocabSize);
      return texts.reduce((sum, text) => sum + encode(text).length, 0);
    };
    expect(length(258)).toBe(texts.reduce((sum, text) => sum + Buffer.byteLength(text), 0));
    expect(length(280)).toBeLessThan(length(258));
    expect(length(310)).toBeLessThan(length(280));
  });

  it('stops where pairs no longer repeat', () => {
    expect(mergesOf(1000, ['abc'])).toEqual([]);
    expect(mergesOf(1000, ['abc abc']).length).toBe(2);
  });

  it('decodes what it encodes, whatever the text', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        expect(tokenizer.decode(tokenizer.encode(text))).toBe(text);
      }),
      { numRuns: 500 },
    );
  });

  it.each([
    [{ vocabSize: 257 }],
    [{ vocabSize: 2 ** 30 }],
    [{ vocabSize: 300, specialTokens: [] }],
    [{ vocabSize: 300, specialTokens: ['<a>', '<a>'] }],
    [{ vocabSize: 300, specialTokens: ['a'] }],
    [{ vocabSize: 300, minFrequency: 0 }],
  ])('refuses %j', (options) => {
    expect(() => trainByteLevelBpe(texts, options)).toThrow(
      expect.objectContaining({ code: 'MODEL_TOKENIZER_TRAINING' }),
    );
  });
});
