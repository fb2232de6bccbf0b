import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import type { Row } from './json.js';
import { loadDataset, readDataset } from './read-dataset.js';

const folder = mkdtempSync(join(tmpdir(), 'rlhf-streams-csv-'));
afterAll(() => rmSync(folder, { recursive: true }));

function file(name: string, content: string | Buffer): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

async function read(path: string): Promise<Row[]> {
  const rows: Row[] = [];
  for await (const row of readDataset(path)) rows.push(row);
  return rows;
}

const failure = (code: string, message: RegExp) =>
  expect.objectContaining({ code, message: expect.stringMatching(message) });

const quoted = (cell: string) => `"${cell.replaceAll('"', '""')}"`;

describe('CSV', () => {
  it('reads quoted line breaks, commas and quotes, past a byte order mark, CRLF and blank lines', async () => {
    const text = '\uFEFFprompt,completion\r\n"A film,\r\nor ""two""",é\r\n\r\nplain, spaced \r\n';
    const rows = [
      { prompt: 'A film,\r\nor "two"', completion: 'é' },
      { prompt: 'plain', completion: ' spaced ' },
    ];
    expect(await read(file('a.csv', text))).toEqual(rows);
    expect(await read(file('a.CSV.GZ', gzipSync(text)))).toEqual(rows);
    expect(await loadDataset(file('a.csv', text))).toEqual({ kind: 'completion', rows });
  });

  it('gives back any text, wherever chunks end', async () => {
    const wide = 'ü"\n,'.repeat(40_000);
    await fc.assert(
      fc.asyncProperty(fc.array(fc.string({ unit: 'grapheme' })), async (some) => {
        const cells = [wide, ...some, wide];
        const text = ['text', ...cells.map(quoted)].join('\n');
        expect(await read(file('property.csv', text))).toEqual(cells.map((cell) => ({ text: cell })));
        const tabs = ['text\tmore', ...cells.map((cell) => `${quoted(cell)}\tx`)].join('\n');
        expect(await read(file('property.tsv', tabs))).toEqual(cells.map((text) => ({ text, more: 'x' })));
      }),
      { numRuns: 20 },
    );
  });

  it('reads labels, margins and lists where a column wants them, and text where it wants text', async () => {
    const labelled = 'text,label\n12,1\ntrue,0.0\n[],True\nnull,negative\n';
    expect(await loadDataset(file('labels.csv', labelled))).toEqual({
      kind: 'labelled',
      rows: [
        { text: '12', label: 1 },
        { text: 'true', label: 0 },
        { text: '[]', label: 1 },
        { text: 'null', label: 0 },
      ],
    });
    const pairs = 'prompt,chosen,rejected,margin\n1,2,3,0.5\na,b,c,\n';
    expect((await loadDataset(file('pairs.csv', pairs))).rows).toEqual([
      { prompt: '1', chosen: '2', rejected: '3', margin: 0.5 },
      { prompt: 'a', chosen: 'b', rejected: 'c' },
    ]);
    const rankings = 'prompt,completions,ranks,rewards\np,"[""a"", ""b""]","[1, 0]",\n';
    expect((await loadDataset(file('rankings.csv', rankings))).rows).toEqual([
      { prompt: 'p', completions: ['a', 'b'], ranks: [2, 1] },
    ]);
  });

  it.each([
    ['cells', 'a,b\n1,2\n1,2,3\n', 'DATA_CSV_INVALID', /cells\.csv:3: expected 2 cells, .*got 3/],
    ['fewer', 'a,b\n1,2\n1\n', 'DATA_CSV_INVALID', /fewer\.csv:3: expected 2 cells, .*got 1/],
    ['open', 'a,b\n1,"2\n', 'DATA_CSV_INVALID', /open\.csv:\d: expected a closing double quote/],
    ['inside', 'a,b\n1,2 "3" 4\n', 'DATA_CSV_INVALID', /inside\.csv:2: .*inside cell b/],
    ['after', 'a,b\n1,"2" 3\n', 'DATA_CSV_INVALID', /after\.csv:2: .*inside cell b/],
    ['twice', 'text,label, text\n1,2,3\n', 'DATA_CSV_INVALID', /twice\.csv:1: .*'text' twice/],
    [
      'list',
      "prompt,completions\n\np,\"['a', 'b']\"\n",
      'DATA_CSV_INVALID',
      /list\.csv:3: completions: .*json\.dumps/,
    ],
    [
      'margin',
      'chosen,rejected,margin\na b,a c,big\n',
      'DATA_CSV_INVALID',
      /margin\.csv:2: margin: expected a number/,
    ],
    ['latin1', Buffer.from('text\n\xe9\n', 'latin1'), 'DATA_UTF8_INVALID', /latin1\.csv: /],
    ['header', 'text,label\n', 'DATA_EMPTY', /header\.csv/],
    ['empty', '', 'DATA_EMPTY', /empty\.csv/],
  ])('refuses a file of kind %s with its place', async (name, content, code, message) => {
    await expect(read(file(`${name}.csv`, content))).rejects.toThrow(failure(code, message));
  });

  it.each([
    ['nameless', 'A great film,1\nA dull one,0\n', 'DATA_UNKNOWN_FORMAT', /got \{.*A great film.*first row/],
    ['unlabelled', 'text,label\na,1\nb,\n', 'DATA_ROW_INVALID', /row 2: label: .*got null/],
    [
      'infinite',
      'prompt,completions,ranks\np,"[""a"",""b""]","[1,1e999]"\n',
      'DATA_ROW_INVALID',
      /row 1: ranks\.1/,
    ],
    [
      'talk',
      `prompt,chosen,rejected\nHi,"[{'role': 'assistant', 'content': 'Hello'}]",No\n`,
      'DATA_ROW_INVALID',
      /row 1: chosen: .*json\.dumps/,
    ],
  ])('refuses a dataset of kind %s', async (name, content, code, message) => {
    await expect(loadDataset(file(`${name}.csv`, content))).rejects.toThrow(failure(code, message));
  });

  it('reads cells of messages and tools, written as JSON', async () => {
    const [asked, tool] = [{ role: 'user', content: 'Hi, "you"' }, { type: 'function' }];
    const answer = { role: 'assistant', content: 'Hello' };
    const cells = [[asked, answer], [tool]].map((cell) => quoted(JSON.stringify(cell)));
    const path = file('chats.csv', `messages,tools\n${cells.join(',')}\n${cells[0]},\n`);
    expect(await loadDataset(path)).toEqual({
      kind: 'conversation',
      rows: [{ messages: [asked, answer], tools: [tool] }, { messages: [asked, answer] }],
    });
  });

  it('refuses a row that never ends before it fills the memory', async () => {
    const path = file(
      'long.csv.gz',
      gzipSync(Buffer.concat([Buffer.from('text\n"'), Buffer.alloc(17 * 2 ** 20, 'a')])),
    );
    await expect(read(path)).rejects.toThrow(failure('DATA_TOO_LARGE', /long\.csv\.gz:\d: .*16 MiB/));
  });
});
