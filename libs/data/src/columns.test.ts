import { describe, expect, it } from 'vitest';
import { detectFormat } from './columns.js';
import { textOf } from './content.js';

const user = { role: 'user', content: 'Hi' };
const answer = { role: 'assistant', content: 'Hello' };
const other = { role: 'assistant', content: 'No' };

describe('detectFormat', () => {
  it.each([
    ['text', [{ text: 'a' }]],
    ['labelled', [{ text: 'a', label: 1 }]],
    ['messages', [{ messages: [user, answer] }]],
  ])('recognises %s', (kind, rows) => {
    expect(detectFormat(rows)).toEqual({ kind, rows });
  });

  it.each([
    ['prompt', { prompt: 'a' }, { prompt: [user] }],
    ['completion', { prompt: 'a', completion: 'b' }, { prompt: [user], completion: [answer] }],
    [
      'preference',
      { prompt: 'a', chosen: 'b', rejected: 'c', margin: 0.5 },
      { prompt: [user], chosen: [answer], rejected: [other] },
    ],
    [
      'ranking',
      { prompt: 'a', completions: ['b', 'c'], ranks: [2, 1] },
      { prompt: [user], completions: [[answer], [other]], rewards: [0.1, -2] },
    ],
  ])('recognises %s, of strings and of messages', (kind, standard, conversational) => {
    expect(detectFormat([standard])).toEqual({ kind, conversational: false, rows: [standard] });
    expect(detectFormat([conversational])).toEqual({ kind, conversational: true, rows: [conversational] });
  });

  it('cuts the implicit prompt of {chosen, rejected}', () => {
    expect(detectFormat([{ chosen: 'It is good', rejected: 'It is bad' }])).toEqual({
      kind: 'preference',
      conversational: false,
      rows: [{ prompt: 'It is', chosen: ' good', rejected: ' bad' }],
    });
    expect(detectFormat([{ chosen: [user, answer], rejected: [user, other], margin: 1 }]).rows).toEqual([
      { prompt: [user], chosen: [answer], rejected: [other], margin: 1 },
    ]);
  });

  it('prefers the richer format, drops other columns, and takes null for an absent one', () => {
    const row = { id: 7, prompt: 'a', chosen: 'b', rejected: 'c', messages: [user], margin: null };
    expect(detectFormat([row]).rows).toEqual([{ prompt: 'a', chosen: 'b', rejected: 'c' }]);
    expect(detectFormat([{ text: 'a', label: null, prompt: null }]).kind).toBe('text');
  });

  it('reads labels in all their spellings', () => {
    const labels = [0, 1, false, true, 'neg', 'pos', 'negative', 'positive'];
    const { rows } = detectFormat(labels.map((label) => ({ text: 'a', label })));
    expect(rows).toEqual(labels.map((_, index) => ({ text: 'a', label: index % 2 })));
  });

  const good = { prompt: 'a', chosen: 'b', rejected: 'c' };
  it.each([
    [
      'another label',
      { text: 'a', label: 1 },
      { text: 'b', label: 'sports' },
      /row 2: label: expected 0 or 1.*"sports"/,
    ],
    ['a numeric string label', { text: 'a', label: 1 }, { text: 'b', label: '1' }, /row 2: label/],
    ['a missing column', good, { prompt: 'a', chosen: 'b' }, /row 2: rejected: .*expected string/],
    [
      'messages among strings',
      good,
      { ...good, chosen: [answer] },
      /row 2: chosen: .*expected string.*all strings/,
    ],
    ['a margin that is no number', good, { ...good, margin: 'big' }, /row 2: margin: .*expected number/],
    [
      'an unknown role',
      { messages: [user] },
      { messages: [user, { role: 'human', content: '' }] },
      /row 2: messages\.1\.role/,
    ],
    ['no messages', { messages: [user] }, { messages: [] }, /row 2: messages/],
    [
      'no common prefix',
      { chosen: 'x a', rejected: 'x b' },
      { chosen: 'a', rejected: 'b' },
      /row 2: chosen: .*prompt column/,
    ],
    ['a row that is no object', { text: 'a' }, 3, /row 2: .*expected object/],
  ])('names the row and column of %s', (_, first, second, message) => {
    expect(() => detectFormat([first, second], { source: 'd.jsonl' })).toThrow(
      expect.objectContaining({ code: 'DATA_ROW_INVALID', message: expect.stringMatching(message) }),
    );
    expect(() => detectFormat([first, second], { source: 'd.jsonl' })).toThrow(/^d\.jsonl: row 2: /);
  });

  it.each([
    ['neither', {}],
    ['both', { ranks: [1, 2], rewards: [1, 2] }],
    ['too few', { ranks: [1] }],
    ['an infinite one', { rewards: [1, Number.POSITIVE_INFINITY] }],
  ])('refuses a ranking with %s of ranks and rewards', (_, order) => {
    expect(() => detectFormat([{ prompt: 'a', completions: ['b', 'c'], ...order }])).toThrow(
      expect.objectContaining({ code: 'DATA_ROW_INVALID' }),
    );
  });

  it('names the formats there are when it recognises none', () => {
    expect(() => detectFormat([{ instruction: 'a', output: 'b' }])).toThrow(
      expect.objectContaining({
        code: 'DATA_UNKNOWN_FORMAT',
        message: expect.stringContaining('{prompt, completion}'),
      }),
    );
    expect(() => detectFormat([])).toThrow(expect.objectContaining({ code: 'DATA_EMPTY' }));
  });
});

describe('textOf', () => {
  it('gives the string, and says that messages need a chat template', () => {
    expect(textOf('a', 'row 1')).toBe('a');
    expect(() => textOf([{ role: 'user', content: 'Hi' }], 'row 1: prompt')).toThrow(
      expect.objectContaining({
        code: 'DATA_NEEDS_CHAT_TEMPLATE',
        message: expect.stringMatching(/^row 1: prompt: /),
      }),
    );
  });
});
