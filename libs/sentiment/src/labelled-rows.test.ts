import { detectFormat } from '@rlhf-streams/data';
import { expect, it } from 'vitest';
import { labelledRows } from './labelled-rows.js';

it('gives rows of both labels', () => {
  const rows = [
    { text: 'good', label: 1 },
    { text: 'bad', label: 0 },
  ];
  expect(labelledRows(detectFormat(rows), 'd.jsonl')).toEqual(rows);
});

it.each([
  [
    'no labels',
    [{ text: 'good' }],
    /^d\.jsonl: expected rows of \{text, label\}.*got text rows without labels/,
  ],
  [
    'one label',
    [
      { text: 'a', label: 1 },
      { text: 'b', label: 1 },
    ],
    /d\.jsonl: .*got 2 rows that are all positive/,
  ],
  ['the other label', [{ text: 'a', label: 'neg' }], /got 1 rows that are all negative/],
])('refuses %s', (_, rows, message) => {
  expect(() => labelledRows(detectFormat(rows), 'd.jsonl')).toThrow(
    expect.objectContaining({ code: 'DATA_NEEDS_LABELS', message: expect.stringMatching(message) }),
  );
});
