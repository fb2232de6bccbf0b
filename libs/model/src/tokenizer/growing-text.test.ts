import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createGrowingText } from './growing-text.js';
import { loadTokenizer } from './tokenizer.js';

const json = (path: string) =>
  JSON.parse(readFileSync(new URL(`../../fixtures/tokenizers/${path}`, import.meta.url), 'utf8'));

const TEXT = 'The café, 12 ½ was n\'t " a😀b 👩‍👩‍👧‍👦 🏳️‍🌈🇫🇷 日本語 नमस्ते \ufeff e\u0301 ▁ <0xE2>  ';

describe.each([
  ['gpt2', false],
  ['qwen2', false],
  ['llama2', false],
  ['mistral', false],
  ['metaspace', false],
  ['llama3', false],
  ['smollm', false],
  ['gpt2', true],
  ['llama2', true],
])('the text of tokens of %s that come one by one (spaces cleaned up: %s)', (name, cleansUp) => {
  const tokenizer = loadTokenizer(json(`${name}/tokenizer.json`), {
    ...json(`${name}/tokenizer_config.json`),
    clean_up_tokenization_spaces: cleansUp,
  });
  const written = tokenizer.encode(TEXT);
  /** Stretches of a real text, cut anywhere, among any tokens: special ones, and bytes that are no UTF-8. */
  const stretch = fc
    .tuple(fc.nat({ max: written.length }), fc.nat({ max: 12 }))
    .map(([from, length]) => written.slice(from, from + length));
  const any = fc.array(fc.nat({ max: tokenizer.vocabSize - 1 }), { maxLength: 4 });
  const tokens = fc.array(fc.oneof(stretch, any), { maxLength: 5 }).map((some) => some.flat());

  it('is the text of all of them, and never half a character', () => {
    fc.assert(
      fc.property(tokens, fc.boolean(), fc.boolean(), (ids, continues, skipSpecialTokens) => {
        const options = { continues, skipSpecialTokens };
        const growing = createGrowingText(tokenizer, options);
        let certain = '';
        ids.forEach((id, i) => {
          growing.add(id);
          expect(growing.whole).toBe(tokenizer.decode(ids.slice(0, i + 1), options));
          expect(growing.text.startsWith(certain)).toBe(true);
          certain = growing.text.slice(0, growing.certain);
          expect(certain).not.toMatch(/\p{Surrogate}/u);
        });
        expect(growing.whole.startsWith(certain)).toBe(true);
      }),
      { numRuns: 300 },
    );
  });

  it('of an emoji comes when its last byte does', () => {
    const growing = createGrowingText(tokenizer, { continues: true, skipSpecialTokens: true });
    const texts = tokenizer.encode('😀', { continues: true }).map((id) => {
      growing.add(id);
      return growing.text;
    });
    expect(texts).toEqual(['', '', '', '😀'].slice(-texts.length));
    expect(texts.length).toBeGreaterThan(1);
  });
});
