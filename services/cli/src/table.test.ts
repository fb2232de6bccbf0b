import { expect, it } from 'vitest';
import { table } from './table.js';

it('stands numbers at the right and text at the left, under their titles and a rule', () => {
  const rows = [
    ['loss', '0.12', 'yes'],
    ['objective/kl', '-13.5', '7'],
    ['none', '-', ''],
  ];
  expect(table(rows, { head: ['metric', 'value', 'note'] }).split('\n')).toEqual([
    'metric        value  note',
    '-------------------------',
    'loss           0.12  yes',
    'objective/kl  -13.5  7',
    'none              -',
  ]);
});

it('prints rows without titles, and never an escape code', () => {
  expect(
    table([
      ['gateway', 'http://x:1'],
      ['cli', ''],
    ]),
  ).toBe('gateway  http://x:1\ncli');
});

it('wraps between words where a column has a width, and nowhere else', () => {
  const long = 'word '.repeat(60).trim();
  expect(table([['a', long]])).toBe(`a  ${long}`);
  expect(
    table(
      [
        ['a', 'one two three'],
        ['b', 'x'],
      ],
      { widths: [null, 8] },
    ).split('\n'),
  ).toEqual(['a  one two', '   three', 'b  x']);
});

it('measures characters as a terminal shows them', () => {
  expect(
    table([
      ['日本', 'x'],
      ['abcd', 'y'],
    ]),
  ).toBe('日本  x\nabcd  y');
});
