import { describe, expect, it } from 'vitest';
import { detectFormat } from './columns.js';

const user = { role: 'user', content: 'Hi' };
const answer = { role: 'assistant', content: 'Hello' };
const other = { role: 'assistant', content: 'No' };

describe('detectFormat', () => {
  it.each([
    ['text', { text: 'a' }],
    ['labelled', { text: 'a', label: 1 }],
    ['prompt', { prompt: 'a' }],
    ['completion', { prompt: 'a', completion: 'b' }],
    ['thumb', { prompt: 'a', completion: 'b', label: false }],
    ['preference', { prompt: 'a', chosen: 'b', rejected: 'c', margin: 0.5 }],
    ['ranking', { prompt: 'a', completions: ['b', 'c'], ranks: [2, 1] }],
  ])('recognises %s', (kind, row) => {
    expect(detectFormat([row])).toEqual({ kind, rows: [row] });
  });

  it.each([
    ['from 0', { ranks: [0, 1, 2] }, [1, 2, 3]],
    ['below 0', { ranks: [-1, -2, -3] }, [3, 2, 1]],
    ['with fractions', { ranks: [1.5, 2.5, 1.5] }, [1, 3, 1]],
    ['with gaps and ties', { ranks: [7, 7, 1000] }, [1, 1, 3]],
    ['given as rewards', { rewards: [0.5, 2, 0.5] }, [2, 1, 2]],
  ])('takes ranks %s as their order', (_, order, ranks) => {
    const row = { prompt: 'a', completions: ['b', 'c', 'd'], ...order };
    expect(detectFormat([row])).toEqual({ kind: 'ranking', rows: [{ ...row, ranks }] });
  });

  it('cuts the implicit prompt of {chosen, rejected}', () => {
    expect(detectFormat([{ chosen: 'It is good', rejected: 'It is bad' }])).toEqual({
      kind: 'preference',
      rows: [{ prompt: 'It is', chosen: ' good', rejected: ' bad' }],
    });
    expect(detectFormat([{ chosen: 'same', rejected: 'same', margin: 1 }]).rows).toEqual([
      { prompt: '', chosen: 'same', rejected: 'same', margin: 1 },
    ]);
  });

  it('prefers the richer format, drops other columns, and takes null for an absent one', () => {
    const row = { id: 7, prompt: 'a', chosen: 'b', rejected: 'c', messages: [user], margin: null };
    expect(detectFormat([row]).rows).toEqual([{ prompt: 'a', chosen: 'b', rejected: 'c' }]);
    expect(detectFormat([{ text: 'a', label: null, prompt: null }]).kind).toBe('text');
    expect(detectFormat([{ text: '<user>Hi', messages: [user, answer] }]).kind).toBe('text');
  });

  it('reads labels in all their spellings', () => {
    const labels = [0, 1, false, true, 'neg', 'pos', 'negative', 'positive'];
    const { rows } = detectFormat(labels.map((label) => ({ text: 'a', label })));
    expect(rows).toEqual(labels.map((_, index) => ({ text: 'a', label: index % 2 })));
  });

  it('takes completions for thumbs where every label is one, and for completions where labels mean something else', () => {
    const thumbs = [1, true, 0, false].map((label) => ({ prompt: 'a', completion: 'b', label }));
    const { kind, rows } = detectFormat(thumbs);
    expect([kind, rows.map((row) => 'label' in row && row.label)]).toEqual([
      'thumb',
      [true, true, false, false],
    ]);
    const sorts = [1, 2].map((label) => ({ prompt: 'a', completion: 'b', label }));
    expect(detectFormat(sorts)).toEqual({
      kind: 'completion',
      rows: sorts.map(({ label: _, ...row }) => row),
    });
  });

  const good = { prompt: 'a', chosen: 'b', rejected: 'c' };
  it.each([
    [
      'another label',
      { text: 'a', label: 1 },
      { text: 'b', label: 'sports' },
      /row 2: label: expected 0 or 1.*"sports"/,
    ],
    [
      'a thumb without its label',
      { prompt: 'a', completion: 'b', label: true },
      { prompt: 'a', completion: 'b', label: null },
      /row 2: label: expected 0 or 1, a boolean.*got null/,
    ],
    ['a numeric string label', { text: 'a', label: 1 }, { text: 'b', label: '1' }, /row 2: label/],
    [
      'a missing column',
      good,
      { prompt: 'a', chosen: 'b' },
      /row 2: rejected: expected a string, got nothing/,
    ],
    ['a null', good, { ...good, rejected: null }, /row 2: rejected: expected a string, got null/],
    ['a number', good, { ...good, chosen: 3 }, /row 2: chosen: expected a string, got a number/],
    ['a list', good, { ...good, chosen: ['a'] }, /row 2: chosen: expected a string, got a list/],
    ['columns of another format', good, { text: 'a' }, /row 2: prompt: .*prompt, chosen, rejected make this/],
    ['a label where others have none', { text: 'b', label: 1 }, { text: 'a' }, /row 2: label: .*got nothing/],
    [
      'a margin that is no number',
      good,
      { ...good, margin: 'big' },
      /margin: expected a finite number, got a str/,
    ],
    [
      'a margin that is NaN',
      good,
      { ...good, margin: Number.NaN },
      /margin: expected a finite number, got NaN/,
    ],
    [
      'no common prefix',
      { chosen: 'x a', rejected: 'x b' },
      { chosen: 'a', rejected: 'b' },
      /row 2: chosen: .*prompt column/,
    ],
    ['a row that is no object', { text: 'a' }, 3, /row 2: expected an object of columns, got a number/],
  ])('names the row and column of %s', (_, first, second, message) => {
    expect(() => detectFormat([first, second], { source: 'd.jsonl' })).toThrow(
      expect.objectContaining({ code: 'DATA_ROW_INVALID', message: expect.stringMatching(message) }),
    );
    expect(() => detectFormat([first, second], { source: 'd.jsonl' })).toThrow(/^d\.jsonl: row 2: /);
  });

  it.each([
    ['neither', {}, /row 1: expected either ranks .*got neither/],
    ['both', { ranks: [1, 2], rewards: [1, 2] }, /row 1: expected either ranks .*got both/],
    ['too few', { ranks: [1] }, /row 1: ranks: expected one number for each of 2 completions, got 1/],
    ['one as text', { ranks: [1, '2'] }, /row 1: ranks.1: expected a finite number, got a string/],
    ['no list', { ranks: 1 }, /row 1: ranks: expected a list of numbers, got a number/],
    ['NaN', { ranks: [1, Number.NaN] }, /row 1: ranks.1: expected a finite number, got NaN/],
    ['an infinite one', { rewards: [1, Number.POSITIVE_INFINITY] }, /row 1: rewards.1: .* got Infinity/],
    ['one completion', { completions: ['b'], ranks: [1] }, /row 1: completions: expected two .*, got 1/],
  ])('refuses a ranking with %s', (_, order, message) => {
    expect(() => detectFormat([{ prompt: 'a', completions: ['b', 'c'], ...order }])).toThrow(
      expect.objectContaining({ code: 'DATA_ROW_INVALID', message: expect.stringMatching(message) }),
    );
  });

  it('takes the columns of all rows, not of the first', () => {
    expect(() =>
      detectFormat([
        { text: 'a', label: null },
        { text: 'b', label: 1 },
      ]),
    ).toThrow(/row 1: label: .*got null/);
  });

  const pair = { prompt: 'Hi', chosen: 'Hello', rejected: 'No' };
  it.each([
    ['pairs', [{ chosen: [user, answer], rejected: [user, other] }], /row 1: chosen: rows are conversations/],
    ['pairs with a prompt', [{ prompt: [user], chosen: [answer], rejected: [other] }], /row 1: prompt: /],
    ['a prompt of text', [{ ...pair, chosen: [answer], rejected: [other] }], /row 1: chosen: /],
    ['a later row', [pair, pair, { ...pair, rejected: [other] }], /row 3: rejected: rows are conversations/],
    ['one message', [{ ...pair, chosen: answer }], /row 1: chosen: /],
    ['messages of ShareGPT', [{ conversations: [{ from: 'human', value: 'Hi' }] }], /conversations: .*chat/],
    ['completions', [{ prompt: [user], completion: [answer] }], /row 1: prompt: /],
    ['rankings', [{ prompt: 'Hi', completions: [[answer], [other]], ranks: [1, 2] }], /row 1: completions: /],
    ['a struct of lists', [{ ...pair, chosen: { role: ['user'], content: ['Hi'] } }], /row 1: chosen: /],
    ['JSON as text', [{ ...pair, chosen: JSON.stringify([answer]) }], /row 1: chosen: /],
    ["Python's text", [{ ...pair, chosen: "[{'role': 'user', 'content': 'Hi'}]" }], /row 1: chosen: /],
  ])('refuses conversations by name: %s', (_, rows, message) => {
    expect(() => detectFormat(rows, { source: 'd.jsonl' })).toThrow(
      expect.objectContaining({
        code: 'DATA_NEEDS_CHAT_TEMPLATE',
        message: expect.stringMatching(message),
      }),
    );
  });

  it('takes conversations as prompts, without what the assistant said last', () => {
    const metadata = { difficulty: 3 };
    const asked = [other, user];
    expect(detectFormat([{ messages: [...asked, answer, answer], metadata }, { messages: [user] }])).toEqual({
      kind: 'conversation',
      rows: [{ messages: asked, metadata }, { messages: [user] }],
    });
    expect(detectFormat([{ prompt: asked, messages: [user], metadata: null }])).toEqual({
      kind: 'conversation',
      rows: [{ messages: asked }],
    });
    expect(detectFormat([{ prompt: 'a', metadata }]).rows).toEqual([{ prompt: 'a', metadata }]);
  });

  it.each([
    ['nobody to answer', { messages: [answer] }, /row 1: messages: expected a message to answer, got the/],
    ['an answer already', { prompt: [user, answer] }, /row 1: prompt: expected a message to answer last/],
    ['no message', { messages: [] }, /row 1: messages: expected a message at least/],
    ['parts for a content', { messages: [{ ...user, content: [{}] }] }, /messages\.0\.content: .*got a list/],
    ['a text for a message', { prompt: [user, 'Hi'] }, /prompt\.1: expected a message {role, content}/],
    ['a row of text', { prompt: [user] }, /row 2: prompt: expected a list of messages/, { prompt: 'Hi' }],
  ])('refuses conversations with %s', (_, row, message, next?: object) => {
    expect(() => detectFormat([row, ...(next ? [next] : [])])).toThrow(
      expect.objectContaining({ code: 'DATA_ROW_INVALID', message: expect.stringMatching(message) }),
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
