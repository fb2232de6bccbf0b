import { createGrowingText, loadTokenizer, type Tokenizer, trainByteLevelBpe } from '@rlhf-streams/model';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createCompletionText, type Piece } from './completion-text.js';

const trained = trainByteLevelBpe(
  ['The film was fine, it was. ', "They've said it isn't. "].map((text) => text.repeat(9)),
  { vocabSize: 300 },
);
const tokenizer = loadTokenizer(trained.json, trained.config);
const cleaning = loadTokenizer(trained.json, {
  ...(trained.config as object),
  clean_up_tokenization_spaces: true,
});

/** What a reader is handed of a completion: pieces as they come, then the whole. */
function told(tokens: readonly number[], stops: readonly string[], using: Tokenizer = tokenizer) {
  const growing = createGrowingText(using, { skipSpecialTokens: true, continues: true });
  const text = createCompletionText(growing, stops);
  const pieces: Piece[] = [];
  let used = 0;
  for (const token of tokens) {
    used++;
    const isLast = text.add(token, { token: `${token}`, bytes: [], logprob: -1, likeliest: [] });
    const piece = text.take();
    if (piece) pieces.push(piece);
    if (isLast) break;
  }
  return { pieces, used, whole: text.end() };
}
const textsOf = ({ pieces }: { readonly pieces: readonly Piece[] }) => pieces.map(({ text }) => text);
const bytes = (...values: number[]) =>
  values.map((byte) => tokenizer.encode(String.fromCharCode(byte)).at(-1)!);

describe('a character of several tokens', () => {
  it('is handed over when it is whole', () => {
    const tokens = tokenizer.encode('a\u{1F3AC}é!');
    expect(tokens.length).toBe(8);
    expect(textsOf(told(tokens, []))).toEqual(['a', '\u{1F3AC}', 'é', '!']);
  });

  it('that never becomes whole is told of at the end', () => {
    const { pieces, whole } = told(tokenizer.encode('a\u{1F3AC}').slice(0, 3), []);
    expect([textsOf({ pieces }), whole.text]).toEqual([['a'], 'a\ufffd']);
  });
});

describe('a stop', () => {
  it('ends the text before it, wherever tokens begin and end', () => {
    const tokens = tokenizer.encode('The film was fine, it was.');
    const { whole, used, pieces } = told(tokens, ['nothing', 'm wa']);
    expect(whole).toMatchObject({ text: 'The fil', stopped: true });
    expect(textsOf({ pieces }).join('')).toBe('The fil');
    const until = (count: number) => tokenizer.decode(tokens.slice(0, count));
    expect([until(used).includes('m wa'), until(used - 1).includes('m wa')]).toEqual([true, false]);
  });

  it('that only begins is part of the text', () => {
    const { pieces, whole } = told(tokenizer.encode('film fin'), ['fine']);
    expect(whole).toMatchObject({ text: 'film fin', stopped: false });
    expect(textsOf({ pieces }).join('')).toBe('film ');
  });

  it('leaves no token after it', () => {
    const { whole } = told(bytes(97, 98, 99, 100), ['c']);
    expect(whole).toMatchObject({ text: 'ab', count: 2 });
    expect(whole.tokens.map(({ offset }) => offset)).toEqual([0, 1]);
    expect(told(bytes(97), ['a']).whole).toMatchObject({ text: '', count: 0, tokens: [] });
  });

  it('is the first of those that the same token completes', () => {
    const token = tokenizer.idOf('Ġfilm')!;
    expect(told([token], ['m', 'il']).whole.text).toBe(' f');
  });
});

it('places tokens by characters, not by halves of them', () => {
  const { whole } = told(tokenizer.encode('\u{1F3AC}é!'), []);
  expect(whole.tokens.map(({ offset }) => offset)).toEqual([0, 0, 0, 0, 1, 1, 2]);
  const [first] = tokenizer.encode('é');
  const broken = told([first!, first!, ...tokenizer.encode('ab')], []).whole;
  expect([broken.text, ...broken.tokens.map(({ offset }) => offset)]).toEqual(['\ufffd\ufffdab', 0, 1, 2, 3]);
});

/** Any token, among them special ones and bytes that are no UTF-8, and those that cleaning up looks at more often. */
const anyToken = fc.oneof(
  fc.nat({ max: 299 }),
  fc.constantFrom(...[...".?!,' n'tms"].flatMap((text) => tokenizer.encode(text)), ...tokenizer.encode('é')),
);

describe.each([
  ['a tokenizer', tokenizer],
  ['a tokenizer that cleans up spaces', cleaning],
])('%s', (_, using) => {
  it('gives the same text in pieces as at once, up to the first stop', () => {
    const stops = fc.array(fc.constantFrom('t', 'is', "'", ' .', 'ab', '?!', '\u{1F3AC}', '  '), {
      maxLength: 4,
    });
    fc.assert(
      fc.property(fc.array(anyToken, { maxLength: 40 }), stops, (tokens, stops) => {
        const { pieces, used, whole } = told(tokens, stops, using);
        const text = using.decode(tokens.slice(0, used), { skipSpecialTokens: true, continues: true });
        const places = stops.map((stop) => text.indexOf(stop)).filter((place) => place >= 0);
        expect(whole.text).toBe(places.length > 0 ? text.slice(0, Math.min(...places)) : text);
        const inPieces = textsOf({ pieces }).join('');
        expect(whole.text.slice(0, inPieces.length)).toBe(inPieces);
        expect(whole.text.length - inPieces.length).toBeLessThan(6);
        expect(pieces.flatMap(({ tokens }) => tokens)).toEqual(
          whole.tokens.slice(0, pieces.flatMap(({ tokens }) => tokens).length),
        );
        for (const text of textsOf({ pieces })) expect(text).not.toMatch(/\p{Surrogate}/u);
      }),
      { numRuns: 1000 },
    );
  });
});
