import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { DataError } from './errors.js';
import type { Row } from './json.js';
import { loadDataset, type ReadOptions, readDataset } from './read-dataset.js';

const folder = mkdtempSync(join(tmpdir(), 'rlhf-streams-data-'));
afterAll(() => rmSync(folder, { recursive: true }));

const fixture = (name: string) => fileURLToPath(new URL(`../fixtures/${name}`, import.meta.url));

function file(name: string, content: string | Buffer): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

async function read(path: string, options?: ReadOptions): Promise<Row[]> {
  const rows: Row[] = [];
  for await (const row of readDataset(path, options)) rows.push(row);
  return rows;
}

const failure = (code: string, message: RegExp) =>
  expect.objectContaining({ code, message: expect.stringMatching(message) });

describe('JSONL', () => {
  it('reads rows, past blank lines, CRLF, a byte order mark and a missing last line feed', async () => {
    const path = file('a.jsonl', '\uFEFF{"text":"é"}\r\n\r\n  \n{"text":"b"}\n{"text":"c"}');
    expect(await read(path)).toEqual([{ text: 'é' }, { text: 'b' }, { text: 'c' }]);
  });

  it('gives back any rows, wherever chunks end, plain and gzipped', async () => {
    const wide = 'ü'.repeat(50_000);
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.dictionary(fc.string(), fc.jsonValue()), { minLength: 1 }),
        async (some) => {
          const rows = [{ wide }, ...some, { wide: `a${wide}` }].map((row) =>
            JSON.parse(JSON.stringify(row)),
          );
          const text = rows.map((row) => JSON.stringify(row)).join('\n');
          expect(await read(file('property.jsonl', text))).toEqual(rows);
          expect(await read(file('property.JSONL.GZ', gzipSync(text)))).toEqual(rows);
        },
      ),
      { numRuns: 30 },
    );
  });

  it('reads no further than the limit', async () => {
    const path = file('limit.jsonl', '{"a":1}\n{"a":2}\nnot json\n');
    expect(await read(path, { limit: 2 })).toEqual([{ a: 1 }, { a: 2 }]);
    await expect(read(path, { limit: 0 })).rejects.toThrow(failure('DATA_ARGUMENT_INVALID', /limit/));
  });

  it.each([
    ['malformed', '{"a":1}\n\n{"a":\n', 'DATA_JSON_INVALID', /malformed\.jsonl:3: expected one JSON object/],
    [
      'list',
      '{"a":1}\n[2]\n',
      'DATA_ROW_INVALID',
      /list\.jsonl:2: expected an object of columns, got a list/,
    ],
    ['null', 'null', 'DATA_ROW_INVALID', /null\.jsonl:1: .*got null/],
    ['latin1', Buffer.from('{"a":1}\n{"a":"\xe9"}', 'latin1'), 'DATA_UTF8_INVALID', /latin1\.jsonl:2: /],
    ['empty', '', 'DATA_EMPTY', /empty\.jsonl/],
    ['blank', '\n \n', 'DATA_EMPTY', /blank\.jsonl/],
  ])('refuses a %s line with its place', async (name, content, code, message) => {
    await expect(read(file(`${name}.jsonl`, content))).rejects.toThrow(failure(code, message));
  });

  it.each(['jsonl', 'json'])('does not quote a file of other text: .%s', async (extension) => {
    const texts = [
      'root:x:0:0:root:/root\n',
      '["secret words", x]',
      '{"secret": words}',
      '[{"secret" "words"}]',
    ];
    for (const text of texts) {
      const error = await read(file(`passwd.${extension}`, text)).catch((thrown: Error) => thrown);
      expect(error).toMatchObject({ code: 'DATA_JSON_INVALID' });
      expect((error as Error).message).not.toMatch(/root|secret|words/);
    }
  });

  it('refuses a line that never ends before it fills the memory', async () => {
    const path = file('long.jsonl.gz', gzipSync(Buffer.alloc(65 * 2 ** 20, 'a')));
    await expect(read(path)).rejects.toThrow(failure('DATA_TOO_LARGE', /long\.jsonl\.gz:1: .*64 MiB/));
  });

  it('refuses gzip data that is cut off or none', async () => {
    const whole = gzipSync('{"text":"a long enough row"}\n');
    const cut = file('cut.jsonl.gz', whole.subarray(0, whole.length - 9));
    await expect(read(cut)).rejects.toThrow(failure('DATA_GZIP_INVALID', /cut\.jsonl\.gz/));
    await expect(read(file('plain.jsonl.gz', '{"text":"a"}'))).rejects.toThrow(
      failure('DATA_GZIP_INVALID', /plain\.jsonl\.gz/),
    );
  });
});

describe('JSON lists', () => {
  it('reads a list of objects, also gzipped', async () => {
    expect(await read(file('a.json', '[{"a":1},{"a":2}]'), { limit: 1 })).toEqual([{ a: 1 }]);
    expect(await read(file('a.json.gz', gzipSync(' [{"a":1}]\n')))).toEqual([{ a: 1 }]);
  });

  it.each([
    [
      'object',
      '{"a":1}\n{"a":2}',
      'DATA_JSON_INVALID',
      /expected a JSON list of objects, got an object.*\.jsonl/,
    ],
    ['number', '3', 'DATA_JSON_INVALID', /got a number/],
    ['broken', '[{"a":1},', 'DATA_JSON_INVALID', /broken\.json: expected a JSON list/],
    ['mixed', '[{"a":1}, "b"]', 'DATA_ROW_INVALID', /mixed\.json: row 2: .*got a string/],
    ['none', '[]', 'DATA_EMPTY', /none\.json/],
    ['bytes', Buffer.from([0x5b, 0xff, 0x5d]), 'DATA_UTF8_INVALID', /bytes\.json/],
  ])('refuses a file of kind %s', async (name, content, code, message) => {
    await expect(read(file(`${name}.json`, content))).rejects.toThrow(failure(code, message));
  });
});

describe('paths', () => {
  it('refuses what is missing, a directory, or of an unknown kind', async () => {
    mkdirSync(join(folder, 'd.jsonl'));
    await expect(read(join(folder, 'd.jsonl'))).rejects.toThrow(
      failure('DATA_NOT_A_FILE', /save_to_disk.*a directory/),
    );
    await expect(read(join(folder, 'no.jsonl'))).rejects.toThrow(
      failure('DATA_NOT_FOUND', /no\.jsonl: no such file; check the path$/),
    );
    await expect(read('no.jsonl')).rejects.toThrow(
      failure('DATA_NOT_FOUND', /^no\.jsonl: no such file, looked for .+no\.jsonl; check the path$/),
    );
    for (const name of ['a.txt', 'jsonl', 'a.parquet.gz', 'a.gz', '.json/constructor']) {
      await expect(read(join(folder, name))).rejects.toThrow(failure('DATA_UNKNOWN_EXTENSION', /\.parquet/));
    }
    await expect(read('a\0.jsonl')).rejects.toThrow(failure('DATA_UNREADABLE', /null bytes/));
  });
});

describe('parquet', () => {
  it('reads snappy, with values as JSON would have them', async () => {
    expect(await read(fixture('labelled.snappy.parquet'))).toEqual([
      {
        text: 'The film is moving.',
        label: 1,
        views: '9007199254740993',
        seen: '1970-01-01T00:00:00.000Z',
        digest: new Uint8Array([0xff, 0xfe]),
      },
      { text: 'The plot drags — twice.', label: 0, views: 2, seen: '1970-01-02T00:00:00.000Z', digest: 'ab' },
      { text: null, label: 0, views: 3, seen: null, digest: '\0' },
      {
        text: 'Ein schöner Film.',
        label: 1,
        views: 4,
        seen: '1970-01-01T00:00:00.001Z',
        digest: new Uint8Array([0xc3]),
      },
    ]);
  });

  it('reads zstd over row groups, up to the limit', async () => {
    const rows = await read(fixture('preferences.zstd.parquet'), { limit: 20 });
    expect(rows).toHaveLength(20);
    expect(rows[0]).toHaveProperty('margin', null);
    expect(rows[17]).toEqual({
      chosen: [
        { role: 'user', content: 'Question 17?' },
        { role: 'assistant', content: 'Answer 17.' },
      ],
      rejected: [
        { role: 'user', content: 'Question 17?' },
        { role: 'assistant', content: 'No.' },
      ],
      margin: 8.5,
    });
    expect(await read(fixture('preferences.zstd.parquet'))).toHaveLength(40);
  });

  it('names the row that its format refuses', async () => {
    await expect(loadDataset(fixture('labelled.snappy.parquet'))).rejects.toThrow(
      failure('DATA_ROW_INVALID', /labelled\.snappy\.parquet: row 3: text: expected a string, got null/),
    );
  });

  it('refuses a string that is not UTF-8', async () => {
    await expect(read(fixture('invalid-utf8.parquet'))).rejects.toThrow(
      failure('DATA_UTF8_INVALID', /rows 1 to 1/),
    );
  });

  it('refuses a file cut off anywhere, and what is no parquet', async () => {
    const whole = readFileSync(fixture('preferences.zstd.parquet'));
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: whole.length - 1 }), async (length) => {
        const path = file('cut.parquet', whole.subarray(0, length));
        await expect(read(path)).rejects.toThrow(
          failure('DATA_PARQUET_INVALID', /cut\.parquet: expected a whole/),
        );
      }),
    );
    await expect(read(file('text.parquet', 'PAR1 not really PAR1'))).rejects.toThrow(
      failure('DATA_PARQUET_INVALID', /text\.parquet/),
    );
  });

  it('reports a broken page under a broken footer once, and leaves no rejection behind', async () => {
    const broken = readFileSync(fixture('labelled.snappy.parquet'));
    broken.fill(0xff, 4, 40);
    const inSchema = broken.indexOf('label');
    broken.write('labex', broken.indexOf('label', inSchema + 1));
    const error = await read(file('broken.parquet', broken)).catch((cause: unknown) => cause);
    expect(error).toBeInstanceOf(DataError);
    expect(error).toMatchObject({ code: 'DATA_PARQUET_INVALID' });
  });
});
