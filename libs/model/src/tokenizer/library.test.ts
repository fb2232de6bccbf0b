import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { tokenText } from './token-text.js';
import { loadTokenizer } from './tokenizer.js';

const json = (path: string) =>
  JSON.parse(readFileSync(new URL(`../../fixtures/tokenizers/${path}`, import.meta.url), 'utf8'));
const files = (name: string) =>
  [json(`${name}/tokenizer.json`), json(`${name}/tokenizer_config.json`)] as const;
const load = (name: string) => loadTokenizer(...files(name));

interface Golden {
  readonly vocab_size: number;
  readonly begin: number[];
  readonly cases: { text: string; ids: number[]; decoded: string; decoded_skip_special: string }[];
}
const golden = (name: string): Golden => json(`${name}/expected.json`);

const NAMES = ['llama2', 'mistral', 'metaspace', 'llama3', 'smollm'];

describe.each(NAMES)('the %s tokenizer', (name) => {
  const tokenizer = load(name);
  const { cases, vocab_size, begin } = golden(name);

  it.each(cases)("gives the ids and the text of Python's tokenizers for $text", (expected) => {
    expect(tokenizer.encode(expected.text)).toEqual(expected.ids);
    expect(tokenizer.decode(expected.ids)).toBe(expected.decoded);
    expect(tokenizer.decode(expected.ids, { skipSpecialTokens: true })).toBe(expected.decoded_skip_special);
  });

  it('says what stands before a text', () => {
    expect(tokenizer).toMatchObject({ begin, end: [], vocabSize: vocab_size });
  });

  it('has a text for every token, and another one for every other', () => {
    const ids = Array.from({ length: vocab_size }, (_, id) => id);
    const texts = ids.map((id) => tokenText(tokenizer, id));
    expect(new Set(texts).size).toBe(vocab_size);
  });

  it('has bytes for every token, which together are those of the text that goes on', () => {
    fc.assert(
      fc.property(fc.array(fc.nat({ max: vocab_size - 1 }), { maxLength: 12 }), (ids) => {
        const bytes = Buffer.concat(ids.map((id) => tokenizer.bytesOf(id, { continues: true })));
        expect(tokenizer.decode(ids, { continues: true })).toBe(
          new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes),
        );
      }),
    );
  });
});

/** What @huggingface/tokenizers 0.2 computes otherwise, and the text of a fixture that shows it. */
it.each([
  ['its \\s has U+FEFF and lacks U+0085', 'smollm', '\ufeff\ufeff! x\u0085\u0085! \u0085a'],
  ['its digits are those of ASCII', 'smollm', 'a   ½ b  ² c   ٣'],
  ['Metaspace splits nothing', 'metaspace', '  two spaces  and trailing  '],
  ['lstrip and rstrip take what JavaScript calls white space', 'mistral', 'a\ufeff<mask>\u0085b <mask>'],
  ['ByteFallback decodes without U+FEFF', 'llama2', '\ufeffBOM first and \ufeff inside'],
  ['case is folded as in ASCII', 'llama3', "'ſa IT'S 'Ve"],
])('stands in for the library, where %s', (_, name, text) => {
  const expected = golden(name).cases.find((one) => one.text === text)!;
  expect(load(name).encode(text)).toEqual(expected.ids);
  expect(load(name).decode(expected.ids)).toBe(expected.decoded);
});

describe('a text that goes on after another', () => {
  const words = fc.stringMatching(/^( ?[a-z😀é.]{1,3}){1,6}$/u);

  it.each(NAMES)('has no space of the %s tokenizer before it, and loses none', (name) => {
    const { encode, decode } = load(name);
    fc.assert(
      fc.property(words, (text) => {
        expect(decode(encode(text, { continues: true }), { continues: true })).toBe(text);
      }),
    );
  });

  it('has the ids that it has as a part of the whole, where no token crosses', () => {
    const { encode, decode } = load('llama2');
    const whole = encode('The film was');
    expect([...encode('The film'), ...encode(' was', { continues: true })]).toEqual(whole);
    expect(decode(encode('was'))).toBe('was');
    expect(decode(encode(' was', { continues: true }), { continues: true })).toBe(' was');
    expect(encode('was', { continues: true })).not.toEqual(encode('was'));
  });
});

it('knows special tokens in a text, unless tokenizer_config.json splits them', () => {
  const [tokenizer, config] = files('llama3');
  const text = 'a<|eot_id|>b';
  const { encode, idOf } = loadTokenizer(tokenizer, config);
  expect(encode(text)).toEqual([idOf('a'), idOf('<|eot_id|>'), idOf('b')]);
  const splitting = loadTokenizer(tokenizer, { ...config, split_special_tokens: true });
  expect(splitting.encode(text)).not.toContain(idOf('<|eot_id|>'));
  expect(splitting.decode(splitting.encode(text), { skipSpecialTokens: true })).toBe(text);
  expect(splitting.decode([idOf('<|eot_id|>')!])).toBe('<|eot_id|>');
});

describe('rules of a pre-tokenizer', () => {
  const [tokenizer, config] = files('smollm');
  const encodes = (rule: object, text: string) => {
    const decoder = { type: 'Fuse' };
    const bytes = { type: 'ByteLevel', add_prefix_space: false, use_regex: false };
    const pre_tokenizer = { type: 'Sequence', pretokenizers: [rule, bytes] };
    // Without merges every character is a token: each piece ends with one that has the whole piece where it is a word.
    const vocab = Object.fromEntries(
      [...'abc.- ĠAÂ²', 'ab', 'ab-', '-ab', '--', 'aĠ'].map((token, id) => [token, id]),
    );
    const model = { type: 'BPE', vocab, merges: [], ignore_merges: true };
    const loaded = loadTokenizer(
      { ...tokenizer, added_tokens: [{ id: 99, content: '<|im_end|>' }], model, pre_tokenizer, decoder },
      config,
    );
    return loaded.encode(text).map((id) => loaded.tokenOf(id));
  };
  const split = (behavior: string, more: object = {}) => ({
    type: 'Split',
    pattern: { String: '-' },
    behavior,
    invert: false,
    ...more,
  });

  it.each<[string, object, string, string[]]>([
    ['Isolated', split('Isolated'), 'ab-ab--', ['ab', '-', 'ab', '-', '-']],
    ['Removed', split('Removed'), 'ab-ab', ['ab', 'ab']],
    ['Removed, inverted', split('Removed', { invert: true }), 'ab-ab', ['-']],
    ['MergedWithPrevious', split('MergedWithPrevious'), 'ab-ab', ['ab-', 'ab']],
    ['MergedWithNext', split('MergedWithNext'), 'ab-ab', ['ab', '-ab']],
    ['Contiguous', split('Contiguous'), 'ab--ab', ['ab', '--', 'ab']],
    ['Punctuation', { type: 'Punctuation', behavior: 'Isolated' }, 'ab--', ['ab', '-', '-']],
  ])('split as in Python: %s', (_, rule, text, pieces) => {
    expect(encodes(rule, text)).toEqual(pieces);
  });

  it('that cannot be computed are refused', () => {
    expect(() => encodes(split('Contiguous', { invert: true }), 'a')).toThrow(
      /Contiguous not to be inverted/,
    );
    const word = { id: 98, content: 'x', single_word: true };
    expect(() => loadTokenizer({ ...tokenizer, added_tokens: [word] }, config)).toThrow(
      expect.objectContaining({
        code: 'MODEL_TOKENIZER_INVALID',
        message: expect.stringMatching(/single_word.* x$/),
      }),
    );
  });
});

const smollm2 = process.env.RLHF_TEST_SMOLLM2;

it.skipIf(!smollm2 || !existsSync(smollm2))(
  "reads SmolLM2's tokenizer as Python does (RLHF_TEST_SMOLLM2)",
  () => {
    const read = (name: string) => JSON.parse(readFileSync(join(smollm2!, name), 'utf8'));
    const { encode, decode } = loadTokenizer(read('tokenizer.json'), read('tokenizer_config.json'));
    for (const { text, ids, decoded } of golden('smollm2-135m').cases) {
      expect(encode(text)).toEqual(ids);
      expect(decode(ids)).toBe(decoded);
    }
  },
);
