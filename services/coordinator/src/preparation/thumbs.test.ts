import { detectFormat } from '@rlhf-streams/data';
import { itemSchemas, parseRunConfig, type ThumbItem } from '@rlhf-streams/runs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CoordinatorError } from '../errors.js';
import { encoderOf } from './encoder.js';
import type { Feedback } from './feedback.js';
import { feedbackItems, itemsOf, recordedItems } from './items.js';
import { lettersTokenizer } from './letters.test.support.js';

const END = 0;
const letters = (text: string) => [...text].map((letter) => letter.charCodeAt(0));
const encoder = encoderOf(lettersTokenizer({ end: END }), { contextLength: 16 });

const common = { run: 'r', steps: 1, model: 'model', data: 'd' };
const kto = (change: object = {}) => parseRunConfig({ ...common, method: 'kto', ...change });
const dpo = parseRunConfig({ ...common, method: 'dpo' });

const row = (prompt: string, completion: string, label: boolean) => ({ prompt, completion, label });
const prepared = (rows: readonly object[], change: object = {}) =>
  itemsOf(kto(change), detectFormat(rows), encoder);
const thumbsOf = (rows: readonly object[], change: object = {}) =>
  prepared(rows, change).items as ThumbItem[];

const failure = (work: () => unknown): CoordinatorError => {
  try {
    work();
  } catch (error) {
    if (error instanceof CoordinatorError) return error;
    throw error;
  }
  throw new Error('expected an error, got none');
};

describe('thumbs', () => {
  it('of a dataset are items with the end token, and with the completion of another prompt', () => {
    const rows = [row('ab', 'yes', true), row('cd', 'no', false)];
    const items = thumbsOf(rows);
    expect(items).toEqual([
      {
        split: 'train',
        promptText: 'ab',
        promptTokens: [END, ...letters('ab')],
        text: 'yes',
        tokens: [...letters('yes'), END],
        label: true,
        mismatched: [...letters('no'), END],
        labeler: 'dataset',
      },
      expect.objectContaining({ text: 'no', label: false, mismatched: [...letters('yes'), END] }),
    ]);
    for (const item of items)
      expect(itemSchemas.thumbs.parse(JSON.parse(JSON.stringify(item)))).toEqual(item);
  });

  it('of a pair are one up and one down', () => {
    const { items, data } = prepared([{ prompt: 'ab', chosen: 'yes', rejected: 'no' }]);
    expect(items).toMatchObject([
      { text: 'yes', label: true },
      { text: 'no', label: false },
    ]);
    expect(data).toMatchObject({ read: 2, used: 2 });
  });

  it('are mismatched with another prompt of their split, the same for every run, within the limit', () => {
    const someRow = fc.record({
      prompt: fc.constantFrom('a', 'bb', 'ccc', 'dddd'),
      completion: fc.stringMatching(/^[a-z]{1,8}$/),
      label: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(someRow, { maxLength: 12 }), (some) => {
        const rows = [row('a', 'x', true), row('bb', 'y', false), ...some];
        const items = thumbsOf(rows, { kto: { maxLength: 14 }, testFraction: 0 });
        expect(thumbsOf(rows, { kto: { maxLength: 14 }, testFraction: 0, seed: 9 })).toEqual(items);
        for (const { promptTokens, mismatched } of items) {
          const room = 14 - promptTokens.length;
          const others = items.filter((other) => other.promptTokens.join() !== promptTokens.join());
          expect(others.map(({ tokens }) => tokens.slice(0, room).join())).toContain(mismatched.join());
        }
      }),
      { numRuns: 100 },
    );
  });

  it('of one prompt alone are mismatched with each other', () => {
    const items = thumbsOf([row('a', 'x', true), row('a', 'y', false), row('a', 'z', false)]);
    expect(items.map(({ tokens, mismatched }) => tokens.join() === mismatched.join())).toEqual([
      false,
      false,
      false,
    ]);
  });

  it('that are held out are mismatched among each other', () => {
    const rows = Array.from({ length: 40 }, (_, i) => row(`p${i}`, `c${i}`, i % 2 === 0));
    const items = thumbsOf(rows, { testFraction: 0.25 });
    for (const split of ['train', 'test']) {
      const own = items.filter((item) => item.split === split);
      expect(own.length).toBeGreaterThan(1);
      const completions = new Set(own.map(({ tokens }) => tokens.join()));
      for (const { mismatched } of own) expect(completions).toContain(mismatched.join());
    }
  });

  it.each([
    ['up', true, /3 up and none down: add completions whose label is false/],
    ['down', false, /3 down and none up: add completions whose label is true/],
  ])('that all point %s are refused', (_, label, message) => {
    const error = failure(() => prepared(['a', 'b', 'c'].map((text) => row(text, text, label))));
    expect(error).toMatchObject({ code: 'RUN_SOURCE_UNFIT', message: expect.stringMatching(message) });
  });

  it('that are too long or empty are accounted for', () => {
    const rows = [
      row('a', 'x', true),
      row('b', 'y', false),
      row('c', 'z'.repeat(20), true),
      row('d', ' ', true),
    ];
    const { data } = prepared(rows, { allow: { dropped: 1 } });
    expect(data).toEqual({
      read: 4,
      used: 2,
      cut: 0,
      dropped: { 'longer than the context of 16 tokens': 1, 'empty completion': 1 },
    });
    expect(failure(() => prepared(rows)).code).toBe('RUN_DATA_LOST');
  });

  it.each([
    ['completions without labels', { prompt: 'a', completion: 'b' }, /label.*got completion rows/],
    [
      'completions whose labels mean something else',
      { prompt: 'a', completion: 'b', label: 'sports' },
      /each label/,
    ],
    ['texts', { text: 'a' }, /got text rows/],
  ])('are not made of %s', (_, came, message) => {
    const error = failure(() => prepared([came]));
    expect(error).toMatchObject({ code: 'RUN_SOURCE_UNFIT', message: expect.stringMatching(message) });
  });

  it('are not made of what another run compared', () => {
    expect(failure(() => recordedItems(kto(), [], encoder)).code).toBe('RUN_SOURCE_UNFIT');
  });
});

describe('a collection of feedback with rankings and thumbs', () => {
  const said = (feedback: string, change: object): Feedback => ({
    feedback,
    collection: 'support',
    prompt: `p${feedback}`,
    labeler: 'somebody',
    ...change,
  });
  const thumb = (feedback: string, label: boolean) => said(feedback, { completion: 'x', label });
  const ranking = (feedback: string) => said(feedback, { completions: ['x', 'y'], ranks: [2, 1] });
  const both = [thumb('1', true), ranking('2'), thumb('3', false), ranking('4'), ranking('5')];

  it('gives each method what it takes, and nothing is lost', () => {
    const judged = feedbackItems(kto(), both, encoder);
    expect(judged.items).toMatchObject([
      { promptText: 'p1', label: true, labeler: 'somebody', metadata: { feedback: '1' } },
      { promptText: 'p3', label: false },
    ]);
    expect(judged.data).toEqual({ read: 5, used: 2, cut: 0, dropped: { 'a ranking, not a thumb': 3 } });
    const compared = feedbackItems(dpo, both, encoder);
    expect(compared.items.map((item) => 'promptText' in item && item.promptText)).toEqual(['p2', 'p4', 'p5']);
    expect(compared.data.dropped).toEqual({ 'a thumb, not a ranking': 2 });
  });

  it('that has none of it says so', () => {
    expect(failure(() => feedbackItems(kto(), [ranking('1')], encoder)).message).toMatch(
      /feedback is a ranking/,
    );
    expect(failure(() => feedbackItems(dpo, [thumb('1', true)], encoder)).message).toMatch(
      /feedback is a thumb/,
    );
  });
});
