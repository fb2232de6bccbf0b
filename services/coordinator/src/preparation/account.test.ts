import { detectFormat } from '@rlhf-streams/data';
import { type DataAccount, DataAccount as DataAccountSchema } from '@rlhf-streams/events';
import { type ComparisonItem, itemSchemas, parseRunConfig, specOf } from '@rlhf-streams/runs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { PreparedItems } from './account.js';
import { encoderOf as encoderOfTokenizer } from './encoder.js';
import { feedbackItems, itemsOf, recordedItems } from './items.js';
import { lettersTokenizer } from './letters.test.support.js';

const END = 0;
/** A token a letter, whatever its case. */
const letters = (text: string) => [...text.toLowerCase()].map((letter) => letter.codePointAt(0)!);
const encoderOf = (begin: readonly number[], contextLength: number) =>
  encoderOfTokenizer(lettersTokenizer({ end: END, begin, encode: letters }), { contextLength });
const encoder = encoderOf([END], 16);

type Method = 'sft' | 'reward' | 'dpo' | 'ppo' | 'sample';
const everything = { dropped: 1, cut: 1 };

function configOf(method: Method, change: object = {}) {
  const source = method === 'ppo' || method === 'sample' ? { prompts: 'rows.jsonl', testFraction: 0 } : {};
  const scorers = method === 'ppo' ? { scorers: ['gold:d'] } : {};
  const common = { run: 'r', method, steps: 1, model: 'model' };
  const data = 'prompts' in source ? source : { data: 'rows.jsonl' };
  return parseRunConfig({ ...common, ...data, ...scorers, ...change });
}

const prepared = (method: Method, rows: readonly object[], change: object = {}): PreparedItems =>
  itemsOf(configOf(method, change), detectFormat(rows), encoder);

const accountOf = (method: Method, rows: readonly object[], change: object = {}): DataAccount =>
  prepared(method, rows, { allow: everything, ...change }).data;

const failure = (work: () => unknown): { code?: string; message: string } => {
  try {
    work();
  } catch (error) {
    return error as Error;
  }
  throw new Error('expected an error, got none');
};

const fitting = { prompt: 'a', chosen: 'b', rejected: 'c' };
const ranking = (ranks: number[], completions = ['x', 'y', 'z']) => ({ prompt: 'a', completions, ranks });

describe('rows are left out for their reason', () => {
  it.each([
    [
      'too long',
      'dpo',
      [fitting, { ...fitting, chosen: 'b'.repeat(14) }],
      'longer than the context of 16 tokens',
    ],
    [
      'the same text',
      'dpo',
      [fitting, { ...fitting, rejected: 'b' }],
      'no preference: chosen and rejected are the same text',
    ],
    [
      'the same text, and long',
      'reward',
      [fitting, { prompt: 'a'.repeat(20), chosen: 'b', rejected: 'b' }],
      'no preference: chosen and rejected are the same text',
    ],
    [
      'the same tokens',
      'reward',
      [fitting, { ...fitting, rejected: 'B' }],
      'no preference: chosen and rejected are the same tokens',
    ],
    [
      'all alike',
      'dpo',
      [ranking([1, 2, 3]), ranking([1, 2, 3], ['x', 'x', 'x'])],
      'no preference: all completions are the same text',
    ],
    ['all tied', 'dpo', [ranking([1, 2, 2]), ranking([0, 0, 0])], 'every completion is ranked the same'],
    ['an empty side', 'reward', [fitting, { ...fitting, chosen: ' ' }], 'empty completion'],
    ['an empty text', 'sft', [{ text: 'a' }, { text: '' }], 'empty text'],
    [
      'an empty completion',
      'sft',
      [
        { prompt: 'a', completion: 'b' },
        { prompt: 'a', completion: '' },
      ],
      'empty completion',
    ],
    [
      'no room',
      'sft',
      [
        { prompt: 'a', completion: 'b' },
        { prompt: 'a'.repeat(15), completion: 'b' },
      ],
      'no room for a completion in the context of 16 tokens',
    ],
    [
      'no room for an answer',
      'ppo',
      [{ prompt: 'a' }, { prompt: 'a'.repeat(15) }],
      'no room for a completion in the context of 16 tokens',
    ],
    ['a prompt again', 'sample', [{ prompt: 'a' }, { prompt: 'a' }], 'duplicate prompt'],
    [
      'few words',
      'ppo',
      [{ text: 'a b c d e' }, { text: 'a b c d' }],
      'too short to take 3 words of and leave two',
    ],
  ] as const)('%s', (_, method, rows, reason) => {
    expect(accountOf(method, rows)).toEqual({ read: 2, used: 1, cut: 0, dropped: { [reason]: 1 } });
  });

  it('each of two prompts that are too long, though they are one', () => {
    const long = { prompt: 'a'.repeat(15) };
    expect(accountOf('ppo', [long, { prompt: 'a' }, long]).dropped).toEqual({
      'no room for a completion in the context of 16 tokens': 2,
    });
  });

  it('held out beyond maxTestItems, cut or not', () => {
    const rows = Array.from({ length: 40 }, (_, i) => ({ text: `${i} ${'a'.repeat(20)}` }));
    const all = accountOf('sft', rows, { testFraction: 0.5, maxTestItems: 100 });
    expect(all).toEqual({ read: 40, used: 40, cut: 40, dropped: {} });
    const { used, cut, dropped } = accountOf('sft', rows, { testFraction: 0.5, maxTestItems: 1 });
    expect(used).toBeLessThan(40);
    expect(cut).toBe(used);
    expect(dropped).toEqual({ 'held out beyond maxTestItems': 40 - used });
  });
});

describe('texts are cut', () => {
  it.each([
    ['to the context', [{ text: 'a'.repeat(14) }, { text: 'a'.repeat(15) }], {}],
    ['to maxLength', [{ text: 'a' }, { text: 'aa' }], { sft: { maxLength: 3 } }],
    [
      'of a completion',
      [
        { prompt: 'a', completion: 'b' },
        { prompt: 'a'.repeat(14), completion: 'bb' },
      ],
      {},
    ],
  ])('%s, and counted', (_, rows, change) => {
    expect(accountOf('sft', rows, change)).toEqual({ read: 2, used: 2, cut: 1, dropped: {} });
  });

  it('to their first words without being counted as cut', () => {
    const text = `to be or not ${'a'.repeat(40)}`;
    expect(accountOf('ppo', [{ text }])).toEqual({ read: 1, used: 1, cut: 0, dropped: {} });
  });
});

describe('a run that would lose more than it allows is refused', () => {
  const long = { ...fitting, chosen: 'b'.repeat(20) };
  const pairs = [...Array(16).fill(fitting), ...Array(48).fill(long)];

  it('with what is lost, what may be, what helps, and what to write', () => {
    expect(failure(() => prepared('dpo', pairs))).toEqual(
      expect.objectContaining({
        code: 'RUN_DATA_LOST',
        message:
          '48 of the 64 rows of rows.jsonl would be dropped, 75 % where 5 % may be: longer than the context of 16 tokens (48); ' +
          'take a model with a longer contextLength or shorten the texts, or accept it with allow: { dropped: 0.75 }',
      }),
    );
    expect(prepared('dpo', pairs, { allow: { dropped: 0.75 } }).items).toHaveLength(16);
  });

  it('by a maxLength, which is named', () => {
    const short = { dpo: { maxLength: 12 } };
    expect(failure(() => prepared('dpo', pairs, short)).message).toMatch(
      /longer than dpo\.maxLength of 12 tokens \(48\); raise dpo\.maxLength or shorten/,
    );
  });

  it('also of what is cut', () => {
    const rows = [...Array(3).fill({ text: 'a' }), { text: 'a'.repeat(20) }];
    expect(failure(() => prepared('sft', rows))).toMatchObject({
      code: 'RUN_DATA_LOST',
      message: expect.stringMatching(/^1 of the 4 rows .* would be cut, 25 % where 20 % .*\{ cut: 0\.25 \}$/),
    });
    expect(prepared('sft', rows, { allow: { cut: 0.25 } }).data.cut).toBe(1);
  });

  it('however few of the rows cut are held out and evaluated', () => {
    const rows = Array.from({ length: 100 }, (_, i) => ({ text: `${i} ${'a'.repeat(20)}` }));
    const change = { testFraction: 0.9, maxTestItems: 1 };
    expect(failure(() => prepared('sft', rows, change)).message).toContain('100 of the 100 rows');
  });

  it('by both, with both to accept', () => {
    const rows = [{ text: 'a' }, { text: '' }, { text: 'a'.repeat(20) }];
    expect(failure(() => prepared('sft', rows)).message).toMatch(/allow: \{ dropped: 0\.34, cut: 0\.34 \}$/);
    expect(prepared('sft', rows, { allow: { dropped: 0.34, cut: 0.34 } }).items).toHaveLength(2);
  });

  it.each([
    ['ties', 'dpo', [ranking([1, 2, 3]), ...Array(9).fill(ranking([1, 1, 1]))]],
    ['pairs without a preference', 'reward', [fitting, ...Array(9).fill({ ...fitting, rejected: 'b' })]],
    ['duplicates', 'ppo', Array(10).fill({ prompt: 'a' })],
  ] as const)('but not for %s, of which nothing is lost', (_, method, rows) => {
    expect(prepared(method, rows).data).toMatchObject({ read: 10, used: 1 });
  });
});

describe('a run with nothing left is refused', () => {
  it.each([
    [
      'ties',
      'dpo',
      Array(20).fill(ranking([1, 1, 1])),
      /none of the 20 rows of rows\.jsonl is left: every ranking is a tie$/,
    ],
    [
      'the same texts',
      'dpo',
      Array(3).fill({ ...fitting, rejected: 'b' }),
      /3 rows.*: no preference: chosen and rejected are the same text \(3\)$/,
    ],
    [
      'long texts',
      'reward',
      Array(3).fill({ ...fitting, prompt: 'a'.repeat(20) }),
      /longer than the context of 16 tokens \(3\); take a model/,
    ],
    [
      'several reasons',
      'sft',
      [
        { prompt: 'a', completion: '' },
        { prompt: 'a'.repeat(20), completion: 'b' },
      ],
      /empty completion \(1\), no room for a .* \(1\); take/,
    ],
  ] as const)('%s', (_, method, rows, message) => {
    expect(failure(() => prepared(method, rows, { allow: everything }))).toMatchObject({
      code: 'RUN_DATA_EMPTY',
      message: expect.stringMatching(message),
    });
  });

  it('as a sampling run of held-out prompts is when none is held out', () => {
    const rows = [{ prompt: 'a' }, { prompt: 'b' }];
    expect(failure(() => prepared('sample', rows, { testPrompts: true }))).toMatchObject({
      code: 'RUN_DATA_EMPTY',
      message: expect.stringContaining('raise testFraction'),
    });
    expect(prepared('sample', rows, { testPrompts: true, testFraction: 0.5 }).items).toHaveLength(2);
  });
});

describe.each(['dpo', 'reward'] as const)('of a %s run', (method) => {
  const config = configOf(method, { data: 'run:comparisons', allow: { dropped: 0.5 } });
  const recorded = (texts: string[], ranks: number[]): Omit<ComparisonItem, 'split'> => ({
    promptText: 'a',
    promptTokens: [END, 97],
    completions: texts.map((text) => ({ text, tokens: [...encoder.encode(text), END] })),
    ranks,
    labeler: 'gold',
  });
  const dropped = {
    'every completion is ranked the same': 1,
    'no preference: chosen and rejected are the same text': 1,
    'longer than the context of 16 tokens': 1,
  };

  it('comparisons that another run recorded are accounted for alike', () => {
    const rows = [
      recorded(['x', 'y'], [1, 2]),
      recorded(['x', 'y'], [1, 1]),
      recorded(['x', 'x'], [1, 2]),
      recorded(['x', 'y'.repeat(20)], [1, 2]),
      // A sample that ended at once is one that the policy made.
      recorded(['', 'y'], [2, 1]),
    ];
    const { data, items } = recordedItems(config, rows, encoder);
    expect(data).toEqual({ read: 5, used: 2, cut: 0, dropped });
    expect(items).toEqual([rows[0], rows[4]].map((item) => ({ ...item, split: 'train' })));
    expect(failure(() => recordedItems(config, rows.slice(1, 2), encoder)).message).toMatch(
      /the 1 rows of run:comparisons is left: every ranking is a tie/,
    );
  });

  it('so is feedback', () => {
    const feedback = (id: string, completions: string[], ranks: number[]) => ({
      feedback: id,
      collection: 'support',
      prompt: 'a',
      completions,
      ranks,
      labeler: 'somebody',
    });
    const rows = [
      feedback('a', ['x', 'y'], [5, 9]),
      feedback('b', ['x', 'y'], [2, 2]),
      feedback('c', ['x', 'x'], [1, 2]),
      feedback('d', ['x', 'y'.repeat(20)], [1, 2]),
    ];
    expect(feedbackItems(config, rows, encoder).data).toEqual({ read: 4, used: 1, cut: 0, dropped });
  });
});

describe('every row is accounted for', () => {
  const text = fc.oneof(
    fc.constantFrom('', ' ', 'a', 'A', 'b', 'a b c d e', 'a b c d e '.repeat(3)),
    fc.string({ unit: 'grapheme', maxLength: 24 }),
  );
  // JSON knows no -0.
  const number = fc.double({ noNaN: true, noDefaultInfinity: true }).map((n) => n + 0);
  const rankings = fc
    .array(fc.tuple(text, fc.oneof(number, fc.constant(1))), { minLength: 2, maxLength: 4 })
    .map((ranked) => ({ completions: ranked.map(([text]) => text), numbers: ranked.map(([, n]) => n) }));
  const rows = (row: fc.Arbitrary<object>) => fc.array(row, { minLength: 1, maxLength: 30 });
  const pairs = rows(fc.record({ prompt: text, chosen: text, rejected: text }));
  const byRanks = rows(
    fc
      .tuple(text, rankings)
      .map(([prompt, { completions, numbers: ranks }]) => ({ prompt, completions, ranks })),
  );
  const byRewards = rows(
    fc
      .tuple(text, rankings)
      .map(([prompt, { completions, numbers: rewards }]) => ({ prompt, completions, rewards })),
  );
  const texts = rows(fc.record({ text }));
  const completions = rows(fc.record({ prompt: text, completion: text }));
  const settings = fc.record({
    contextLength: fc.integer({ min: 1, max: 30 }),
    maxLength: fc.integer({ min: 2, max: 30 }),
    testFraction: fc.constantFrom(0, 0.1, 0.5),
    maxTestItems: fc.integer({ min: 1, max: 4 }),
    begin: fc.constantFrom([], [END]),
  });

  it.each([
    ['sft', fc.oneof(texts, completions)],
    ['reward', fc.oneof(pairs, byRanks, byRewards)],
    ['dpo', fc.oneof(pairs, byRanks, byRewards)],
    ['ppo', fc.oneof(texts, completions, pairs, byRanks)],
    ['sample', fc.oneof(texts, completions, pairs, byRewards)],
  ] as const)('of a %s run: used and dropped are what was read, and every item is whole', (method, data) => {
    let prepared = 0;
    fc.assert(
      fc.property(data, settings, (data, { contextLength, maxLength, maxTestItems, testFraction, begin }) => {
        const over = ['ppo', 'sample'].includes(method) ? {} : { maxTestItems, [method]: { maxLength } };
        const config = configOf(method, { allow: everything, testFraction, ...over });
        let made: PreparedItems;
        try {
          made = itemsOf(config, detectFormat(data), encoderOf(begin, contextLength));
        } catch (error) {
          expect(error).toMatchObject({ code: 'RUN_DATA_EMPTY' });
          return;
        }
        prepared += 1;
        const account = DataAccountSchema.parse(made.data);
        const dropped = Object.values(account.dropped).reduce((sum, rows) => sum + rows, 0);
        expect(account.used + dropped).toBe(account.read);
        expect(account.read).toBe(data.length);
        expect(account.used).toBe(made.items.length);
        expect(account.cut).toBeLessThanOrEqual(account.used);
        const schema = itemSchemas[specOf(config).data.kind];
        for (const item of made.items) expect(schema.parse(JSON.parse(JSON.stringify(item)))).toEqual(item);
      }),
      { numRuns: 300 },
    );
    expect(prepared).toBeGreaterThan(50);
  });
});

describe('a further dataset', () => {
  const config = configOf('ppo', {
    testFraction: 0.5,
    pretraining: 'texts.jsonl',
    ppo: { ptxCoef: 1 },
    allow: { dropped: 0.4, cut: 0.25 },
  });
  const made = (rows: readonly object[]) => itemsOf(config, detectFormat(rows), encoder, 'pretraining');

  it('is accounted for by itself, and holds nothing out that no stream draws', () => {
    const { items, data } = made([{ text: 'ab' }, { text: '' }, { text: 'cd' }, { text: 'e'.repeat(99) }]);
    expect(items.map(({ split }) => split)).toEqual(['train', 'train', 'train']);
    expect(data).toEqual({ read: 4, used: 3, cut: 1, dropped: { 'empty text': 1 } });
  });

  it('is named where more of it would be lost than may be, and where it is of another kind', () => {
    expect(failure(() => made([{ text: '' }, { text: 'ab' }]))).toMatchObject({
      code: 'RUN_DATA_LOST',
      message: expect.stringContaining('of the 2 rows of texts.jsonl would be dropped'),
    });
    expect(failure(() => recordedItems(config, [], encoder, 'pretraining'))).toMatchObject({
      code: 'RUN_SOURCE_UNFIT',
      message: expect.stringContaining('a ppo run to name pretraining other than run:ID'),
    });
  });
});
