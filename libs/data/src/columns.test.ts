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
    expect(detectFormat(sorts)).toMatchObject({
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
      /row 2: rejected: expected a string, or messages .*, got nothing/,
    ],
    [
      'a null',
      good,
      { ...good, rejected: null },
      /row 2: rejected: expected a string, or messages .*, got null/,
    ],
    [
      'a number',
      good,
      { ...good, chosen: 3 },
      /row 2: chosen: expected a string, or messages .*, got a number/,
    ],
    [
      'a list',
      good,
      { ...good, chosen: ['a'] },
      /row 2: chosen: expected a string, or messages .*, got a list/,
    ],
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

  const preference = { kind: 'preference', rows: [{ prompt: [user], chosen: [answer], rejected: [other] }] };
  const flat = { prompt: 'Hi', chosen: 'Hello', rejected: 'No' };
  const whole = { chosen: [user, answer], rejected: [user, other] };
  it.each([
    ['with the prompt in both (TRL, implicit)', whole],
    ['with the prompt in both and as a text (UltraFeedback)', { prompt: 'Hi', ...whole }],
    ['with the prompt in both and as messages', { prompt: [user], ...whole }],
    ['with a prompt of messages (TRL, explicit)', { prompt: [user], chosen: [answer], rejected: [other] }],
    ['with a prompt of text', { prompt: 'Hi', chosen: [answer], rejected: [other] }],
    ['with answers of text', { ...flat, prompt: [user] }],
    ['with one message each', { prompt: 'Hi', chosen: answer, rejected: other }],
    ['as JSON', { prompt: 'Hi', chosen: JSON.stringify([answer]), rejected: JSON.stringify([user, other]) }],
    [
      'as lists of roles and contents',
      {
        chosen: { role: ['user', 'assistant'], content: ['Hi', 'Hello'] },
        rejected: { content: ['Hi', 'No'], role: ['user', 'assistant'] },
      },
    ],
    [
      'of ShareGPT',
      {
        chosen: [
          { from: 'human', value: 'Hi' },
          { from: 'gpt', value: 'Hello' },
        ],
        rejected: [user, other],
      },
    ],
  ])('tells prompt and answers of a pair of conversations apart: %s', (_, row) => {
    expect(detectFormat([row])).toEqual(preference);
  });

  it('takes the turns in common for the prompt, up to an answer', () => {
    const [more, less] = [
      { role: 'assistant', content: 'More.' },
      { role: 'assistant', content: 'Less.' },
    ];
    const [asked] = detectFormat([
      { chosen: [user, answer, user, more], rejected: [user, answer, user, less] },
    ]).rows;
    expect(asked).toEqual({ prompt: [user, answer, user], chosen: [more], rejected: [less] });
    const [apart] = detectFormat([
      { chosen: [user, answer, user, more], rejected: [user, answer, { ...user, content: 'Eh' }, less] },
    ]).rows;
    expect(apart).toMatchObject({ prompt: [user], chosen: [answer, user, more] });
    expect(detectFormat([{ chosen: [user, answer], rejected: [user, answer] }]).rows).toEqual([
      { prompt: [user], chosen: [answer], rejected: [answer] },
    ]);
  });

  it('reads completions, rankings and thumbs of messages', () => {
    expect(detectFormat([{ prompt: 'Hi', completion: [user, answer] }]).rows).toEqual([
      { prompt: [user], completion: [answer] },
    ]);
    const ranked = { prompt: 'Hi', completions: [[answer], [user, other]], ranks: [2, 1] };
    const expected = { prompt: [user], completions: [[answer], [other]], ranks: [2, 1] };
    expect(detectFormat([ranked])).toEqual({ kind: 'ranking', rows: [expected] });
    const alone = {
      completions: [
        [user, answer],
        [user, other],
      ],
      rewards: [0, 1],
    };
    expect(detectFormat([alone]).rows).toEqual([{ ...expected, rewards: [0, 1] }]);
    expect(detectFormat([{ prompt: [user], completion: [answer], label: true }])).toEqual({
      kind: 'thumb',
      rows: [{ prompt: [user], completion: [answer], label: true }],
    });
  });

  it('lets tools and what turns have besides go along, without the nulls that files of columns add', () => {
    const tool = { type: 'function', function: { name: 'time' } };
    const call = { role: 'assistant', content: null, tool_calls: [{ function: { name: 'time', id: null } }] };
    const told = {
      role: 'tool',
      content: [
        { type: 'text', text: 'no' },
        { type: 'text', text: 'on' },
      ],
    };
    const row = {
      messages: [{ ...user, tool_calls: null }, call, told, answer],
      tools: [{ ...tool, strict: null }],
    };
    const expected = {
      messages: [
        user,
        { role: 'assistant', content: '', tool_calls: [{ function: { name: 'time' } }] },
        { role: 'tool', content: 'noon' },
        answer,
      ],
      tools: [tool],
    };
    expect(detectFormat([row])).toEqual({ kind: 'conversation', rows: [expected] });
    const written = { messages: row.messages, tools: JSON.stringify([tool]) };
    expect(detectFormat([written]).rows).toEqual([expected]);
    expect(detectFormat([{ prompt: [user], tools: [] }]).rows).toEqual([{ prompt: [user] }]);
  });

  it('takes conversations by any of their names, and prompts of messages', () => {
    const metadata = { difficulty: 3 };
    for (const column of ['messages', 'conversations', 'conversation'])
      expect(detectFormat([{ [column]: [user, answer], metadata }, { [column]: [user] }])).toEqual({
        kind: 'conversation',
        rows: [{ messages: [user, answer], metadata }, { messages: [user] }],
      });
    expect(detectFormat([{ prompt: [other, user], messages: [user], metadata: null }])).toEqual({
      kind: 'prompt',
      rows: [{ prompt: [other, user] }],
    });
    expect(detectFormat([{ prompt: 'a', metadata }]).rows).toEqual([{ prompt: 'a', metadata }]);
  });

  it.each([
    ['an answer already', { prompt: [user, answer] }, /row 1: prompt: expected a message to answer last/],
    ['no message', { messages: [] }, /row 1: messages: expected a message at least/],
    [
      'an image',
      { messages: [{ ...user, content: [{ type: 'image' }] }] },
      /messages\.0\.content\.0: .*got a part of type image/,
    ],
    [
      'a number for a content',
      { messages: [{ ...user, content: 1 }] },
      /messages\.0\.content: expected a string, got a number/,
    ],
    ['nobody', { messages: [{ ...user, role: '' }] }, /messages\.0\.role: .*got an empty string/],
    [
      'an unknown turn of ShareGPT',
      { conversations: [{ from: 'cat', value: 'Hi' }] },
      /conversations\.0\.from: .*human.*"cat"/,
    ],
    ['a text for a message', { prompt: [user, 'Hi'] }, /prompt\.1: expected a message {role, content}/],
    [
      'a row of text',
      { prompt: [user] },
      /row 2: prompt: expected messages as in the rows before, got a text/,
      { prompt: 'Hi' },
    ],
    [
      "Python's text",
      { ...flat, chosen: "[{'role': 'user', 'content': 'Hi'}]" },
      /row 1: chosen: .*json\.dumps/,
    ],
    [
      'the user last in chosen',
      { chosen: [user, answer, user], rejected: [user, other] },
      /row 1: chosen\.2\.role: .*answer last, got a message of user/,
    ],
    [
      'nothing in common',
      { chosen: [{ ...user, content: 'a' }, answer], rejected: [user, other] },
      /row 1: chosen: .*in common with rejected.*prompt column/,
    ],
    [
      'another prompt in chosen',
      { prompt: [other, user], chosen: [user, answer], rejected: [other] },
      /row 1: chosen: .*begins with prompt, got .* user/,
    ],
    [
      'a prompt of other words',
      { prompt: 'Bye', ...whole },
      /row 1: prompt: .*among the messages which chosen begins with/,
    ],
    [
      'an answer to nothing',
      { chosen: [answer], rejected: [other] },
      /row 1: chosen: .*answer alone; add a prompt column/,
    ],
    [
      'tools that are none',
      { messages: [user], tools: 'time' },
      /row 1: tools: .*as JSON, got a text that is none/,
    ],
    ['a tool by its name', { messages: [user], tools: ['time'] }, /row 1: tools\.0: .*got a string/],
  ])('refuses conversations with %s', (_, row, message, next?: object) => {
    expect(() => detectFormat([row, ...(next ? [next] : [])])).toThrow(
      expect.objectContaining({ code: 'DATA_ROW_INVALID', message: expect.stringMatching(message) }),
    );
  });

  it('refuses texts that repeat the prompt in every row', () => {
    const twice = {
      prompt: 'How are you doing today?',
      chosen: 'How are you doing today? Well.',
      rejected: 'How are you doing today? Ill.',
    };
    expect(() => detectFormat([twice])).toThrow(
      /row 1: chosen: .*begins with the prompt itself.*prompt column/,
    );
    expect(detectFormat([twice, flat]).kind).toBe('preference');
  });

  it('says which label is no thumb', () => {
    const rows = ['yes', 'no'].map((label) => ({ prompt: 'a', completion: 'b', label }));
    expect(detectFormat([{ ...rows[0], label: true }, ...rows], { source: 'd.csv' })).toMatchObject({
      kind: 'completion',
      notThumbs: expect.stringMatching(/^d\.csv: row 2: label: expected true or false.*got "yes"; rewrite/),
    });
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
