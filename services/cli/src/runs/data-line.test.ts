import { expect, it } from 'vitest';
import { dataLine } from './data-line.js';

it.each([
  [
    { read: 64, used: 16, cut: 0, dropped: { 'longer than the context of 64 tokens': 48 } },
    '64 rows: 16 used, 48 dropped (longer than the context of 64 tokens)',
  ],
  [{ read: 9, used: 9, cut: 2, dropped: {} }, '9 rows: 9 used, 2 of them cut to what the model takes'],
  [
    { read: 10, used: 4, cut: 1, dropped: { 'empty text': 1, 'held out beyond maxTestItems': 5 } },
    '10 rows: 4 used, 1 of them cut to what the model takes, 6 dropped (5 held out beyond maxTestItems, 1 empty text)',
  ],
])('says what became of %j', (account, line) => {
  expect(dataLine(account)).toBe(line);
});

it.each<Record<string, number>>([{}, { 'duplicate prompt': 5, 'held out beyond maxTestItems': 1 }])(
  'says nothing of rows of which nothing is lost: %j',
  (dropped) => {
    expect(dataLine({ read: 9, used: 3, cut: 0, dropped })).toBeUndefined();
  },
);
