import { describe, expect, it } from 'vitest';
import { detectFormat } from './columns.js';

const question = 'What is two and two?';
const choices = ['three', 'four', 'five'];

describe('questions with choices', () => {
  it.each([
    ['by place', { answer: 1 }],
    ['by place, as a cell of .csv', { answer: '1' }],
    ['by letter', { answer: 'B' }],
    ['by text', { answer: 'four' }],
    ['by labels', { labels: [0, 1, 0] }],
  ])('tell which is true %s', (_, answer) => {
    expect(detectFormat([{ question, choices, ...answer }])).toEqual({
      kind: 'question',
      rows: [{ question, choices, ranks: [2, 1, 2] }],
    });
  });

  it('takes a text before a letter, so that a choice may be called B', () => {
    const { rows } = detectFormat([{ question, choices: ['B', 'A'], answer: 'B' }]);
    expect(rows).toMatchObject([{ ranks: [1, 2] }]);
  });

  it('reads the rows of TruthfulQA: the best answer first, then the other true ones, then the false ones', () => {
    const row = {
      question,
      category: 'Sums',
      mc1_targets: { choices: ['4', '5', '3'], labels: [1, 0, 0] },
      mc2_targets: { choices: ['four', '4', '5', '3'], labels: [1, 1, 0, 0] },
    };
    expect(detectFormat([row]).rows).toEqual([
      { question, choices: ['four', '4', '5', '3'], ranks: [2, 1, 3, 3], metadata: { category: 'Sums' } },
    ]);
  });

  it.each([
    [
      'a place behind the last',
      { answer: 3 },
      /row 2: answer: expected the place of a choice from 0 to 2.*got 3/,
    ],
    ['a fraction', { answer: 0.5 }, /row 2: answer: .*got 0\.5/],
    ['a letter behind the last', { answer: 'D' }, /row 2: answer: .*got "D"/],
    ['no answer', {}, /row 2: answer: expected a number, a letter or a choice, got nothing/],
    ['one choice', { choices: ['four'], answer: 0 }, /row 2: choices: expected two choices or more, got 1/],
  ])('refuse %s, naming the row', (_, change, message) => {
    expect(() =>
      detectFormat([
        { question, choices, answer: 0 },
        { question, choices, ...change },
      ]),
    ).toThrow(message);
  });

  it.each([
    ['labels that are all true', [1, 1, 1], /labels: expected true and false choices, got true ones alone/],
    ['labels that are all false', [0, 0, 0], /got no true one/],
    ['too few labels', [0, 1], /expected a label for each of 3 choices, got 2/],
    ['other labels', [0, 2, 1], /expected labels 1 \(true\) and 0 \(false\), got 2/],
  ])('refuse %s', (_, labels, message) => {
    expect(() => detectFormat([{ question, choices, labels }])).toThrow(message);
  });
});

it('reads paired sentences, with their other columns as metadata', () => {
  const row = { sent_more: 'a', sent_less: 'b', bias_type: 'age' };
  expect(detectFormat([row])).toEqual({
    kind: 'sentences',
    rows: [{ more: 'a', less: 'b', metadata: { bias_type: 'age' } }],
  });
});

describe('columns to be kept', () => {
  it('stand apart from what a row has already', () => {
    const rows = [
      { prompt: 'a', language: 'de', metadata: { source: 'x' } },
      { prompt: 'b', language: null },
    ];
    expect(detectFormat(rows, { keep: ['language'] }).rows).toEqual([
      { prompt: 'a', metadata: { source: 'x' }, kept: { language: 'de' } },
      { prompt: 'b' },
    ]);
    expect(detectFormat([{ text: 'a', label: 1 }], { keep: ['label'] }).rows).toEqual([
      { text: 'a', label: 1, kept: { label: 1 } },
    ]);
  });

  it('are refused where no row has them', () => {
    expect(() =>
      detectFormat([{ prompt: 'a', language: 'de' }], { source: 'p.jsonl', keep: ['lang'] }),
    ).toThrow('p.jsonl: expected column lang to be kept, but no row has it; there are {prompt, language}');
  });
});
