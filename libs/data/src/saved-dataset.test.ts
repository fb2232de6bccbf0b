import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import type { Row } from './json.js';
import { loadDataset, type ReadOptions, readDataset } from './read-dataset.js';

const folder = mkdtempSync(join(tmpdir(), 'rlhf-streams-saved-'));
afterAll(() => rmSync(folder, { recursive: true }));

const saved = (name: string) => fileURLToPath(new URL(`../fixtures/saved/${name}`, import.meta.url));

/** A copy of a saved dataset, to be damaged. */
function copy(name: string, as: string): string {
  cpSync(saved(name), join(folder, as), { recursive: true });
  return join(folder, as);
}

async function read(path: string, options?: ReadOptions): Promise<Row[]> {
  const rows: Row[] = [];
  for await (const row of readDataset(path, options)) rows.push(row);
  return rows;
}

const failure = (code: string, message: RegExp) =>
  expect.objectContaining({ code, message: expect.stringMatching(message) });

const rankings = [
  { prompt: 'The plot', completions: [' drags.', ' moves.'], ranks: [2, 1] },
  { prompt: 'The cast', completions: [' shines.', ' fades.', ' is there.'], ranks: [1, 3, 2] },
];

describe('a saved dataset', () => {
  it('is read over its shards, values as JSON would have them, labels by their names', async () => {
    const rows = [
      { text: 'Schön.', label: 'pos', views: '9007199254740993' },
      { text: 'Dull.', label: 'neg', views: 2 },
      { text: null, label: 'neg', views: null },
      { text: 'Fine.', label: 'pos', views: 4 },
    ];
    expect(await read(saved('labelled'))).toEqual(rows);
    expect(await read(saved('labelled'), { limit: 1 })).toEqual(rows.slice(0, 1));
    await expect(loadDataset(saved('labelled'))).rejects.toThrow(
      failure('DATA_ROW_INVALID', /labelled: row 3: text: expected a string, got null/),
    );
  });

  it('with splits is its train, or the split that is named', async () => {
    expect(await loadDataset(saved('splits'))).toEqual({ kind: 'ranking', rows: rankings });
    expect((await loadDataset(saved('splits/test'))).rows).toEqual(rankings.slice(1));
    expect((await read(saved('splits')))[1]).toMatchObject({ about: { id: 2, by: [] } });
    mkdirSync(join(folder, 'no-train'));
    writeFileSync(join(folder, 'no-train/dataset_dict.json'), '{"splits": ["validation", "test"]}');
    await expect(read(join(folder, 'no-train'))).rejects.toThrow(
      failure('DATA_SPLIT_NEEDED', /got validation, test; name one of them: .*no-train\/validation$/),
    );
  });

  it('of conversations has pairs of messages', async () => {
    const { kind, rows } = await loadDataset(saved('conversations'));
    expect([kind, rows.length]).toEqual(['preference', 1]);
    expect(rows[0]).toMatchObject({ prompt: [{ role: 'user' }], chosen: [{ role: 'assistant' }] });
  });

  it('whose buffers are compressed is refused as that', async () => {
    await expect(read(saved('compressed'))).rejects.toThrow(
      failure('DATA_ARROW_INVALID', /data\.arrow: expected uncompressed/),
    );
  });

  it('that is cut off anywhere is refused', async () => {
    const damaged = copy('splits/train', 'cut');
    const shard = join(damaged, 'data-00000-of-00001.arrow');
    const whole = readFileSync(shard);
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: whole.length - 1 }), async (length) => {
        writeFileSync(shard, whole);
        truncateSync(shard, length);
        await expect(read(damaged)).rejects.toThrow(failure('DATA_ARROW_INVALID', /expected a whole Arrow/));
      }),
    );
  });

  it('with broken values is refused or read, never a list of billions; with something else in it refused', async () => {
    const damaged = copy('splits/train', 'broken');
    const shard = join(damaged, 'data-00000-of-00001.arrow');
    const whole = readFileSync(shard);
    // The first column's offsets: before them stand the schema and the batch's own description.
    const values = whole.indexOf('The plot') - 16;
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: values, max: whole.length - 9 }), fc.nat(255), async (at, byte) => {
        writeFileSync(shard, whole.with(at, byte));
        const outcome = await read(damaged).catch((error: { code: string }) => error.code);
        if (typeof outcome === 'string') expect(outcome).toBe('DATA_ARROW_INVALID');
        else expect(outcome.length).toBe(2);
      }),
      { numRuns: 300 },
    );
    writeFileSync(shard, 'no arrow\xff\xff\xff\xff\0\0\0\0', 'latin1');
    await expect(read(damaged)).rejects.toThrow(failure('DATA_ARROW_INVALID', /broken/));
  });

  it.each([
    ['no state', {}, 'DATA_NOT_A_FILE', /save_to_disk.*a directory/],
    ['a state that is none', { 'state.json': '[]' }, 'DATA_ARROW_INVALID', /state\.json: expected what/],
    [
      'a missing shard',
      { 'state.json': '{"_data_files": [{"filename": "a"}]}' },
      'DATA_NOT_FOUND',
      /no such file/,
    ],
    [
      'a shard elsewhere',
      { 'state.json': '{"_data_files": [{"filename": "../a"}]}' },
      'DATA_ARROW_INVALID',
      /state/,
    ],
    ['no shards', { 'state.json': '{"_data_files": []}' }, 'DATA_EMPTY', /at least one row/],
  ])('with %s is refused', async (name, files, code, message) => {
    mkdirSync(join(folder, name));
    for (const [file, content] of Object.entries(files)) writeFileSync(join(folder, name, file), content);
    await expect(read(join(folder, name))).rejects.toThrow(failure(code, message));
  });
});
