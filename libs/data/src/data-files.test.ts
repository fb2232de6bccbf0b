import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadDataset, readDataset } from './read-dataset.js';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'data-files-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

/** Files of one row each, which says where it is from. */
function laid(name: string, ...files: string[]): string {
  for (const file of files) {
    const path = join(folder, name, file);
    mkdirSync(dirname(path), { recursive: true });
    const row = `${JSON.stringify({ text: file })}\n`;
    writeFileSync(path, file.endsWith('.gz') ? gzipSync(row) : row);
  }
  return join(folder, name);
}
const textsOf = async (paths: string | string[]): Promise<string[]> => {
  const texts: string[] = [];
  for await (const { text } of readDataset(paths)) texts.push(text as string);
  return texts;
};
const failure = (code: string, message: RegExp) =>
  expect.objectContaining({ code, message: expect.stringMatching(message) });

describe('several files', () => {
  it('are one dataset, in their order; those of a pattern in that of their names', async () => {
    const at = laid('many', 'b.jsonl', 'a-2.jsonl', 'a-10.jsonl', 'c/d.jsonl.gz');
    expect(await textsOf([join(at, 'b.jsonl'), join(at, 'a-2.jsonl')])).toEqual(['b.jsonl', 'a-2.jsonl']);
    expect(await textsOf(join(at, 'a-*.jsonl'))).toEqual(['a-10.jsonl', 'a-2.jsonl']);
    expect(await textsOf([join(at, '{b,x}.jsonl'), join(at, '**/*.gz')])).toEqual([
      'b.jsonl',
      'c/d.jsonl.gz',
    ]);
    expect((await loadDataset(join(at, '*.jsonl'), { limit: 2 })).rows).toHaveLength(2);
  });

  it('are named in errors, with the row in them', async () => {
    const at = laid('wrong', 'a.jsonl', 'b.jsonl');
    writeFileSync(join(at, 'b.jsonl'), '{"text": "b"}\n{"text": 1}\n');
    await expect(loadDataset(join(at, '*.jsonl'))).rejects.toThrow(
      failure('DATA_ROW_INVALID', /wrong\/b\.jsonl: row 2: text: expected a string/),
    );
    await expect(loadDataset(join(at, '*.parquet'))).rejects.toThrow(
      failure('DATA_NOT_FOUND', /\*\.parquet: no file matches; check the pattern/),
    );
    writeFileSync(join(at, 'a.jsonl'), '');
    await expect(loadDataset(join(at, '*.jsonl'))).rejects.toThrow(failure('DATA_EMPTY', /a\.jsonl/));
  });

  it('may have the marks of a pattern in their own names', async () => {
    const at = laid('marks', '[1].jsonl', '1.jsonl');
    expect(await textsOf(join(at, '[1].jsonl'))).toEqual(['[1].jsonl']);
  });
});

describe('a folder of data files', () => {
  const hub = ['README.md', 'dataset_infos.json', '.cache/old.jsonl'];
  it.each([
    [
      'shards',
      [
        'data/train-00000-of-00002.jsonl',
        'data/train-00001-of-00002.jsonl',
        'data/test-00000-of-00001.jsonl',
      ],
      2,
    ],
    ['files of splits', ['train.jsonl', 'validation.jsonl', 'test.jsonl'], 1],
    ['folders of splits', ['train/b.jsonl', 'train/a.jsonl', 'test/a.jsonl'], 2],
    ['one file', ['rows.jsonl'], 1],
    ['files without a split', ['a.jsonl', 'latest.jsonl'], 2],
  ])('of %s has the rows of its train', async (name, files, train) => {
    const at = laid(name, ...hub, ...files);
    const chosen = files.length === train ? files : files.filter((file) => file.includes('train'));
    expect(await textsOf(at)).toEqual(chosen.toSorted());
    if (files.length > train) expect(await textsOf(join(at, 'test'))).toHaveLength(1);
  });

  it('without a split named train has none by itself', async () => {
    const at = laid('prefs', 'data/train_prefs-00000-of-00001.jsonl', 'data/test_prefs-00000-of-00001.jsonl');
    await expect(textsOf(at)).rejects.toThrow(
      failure('DATA_SPLIT_NEEDED', /got test_prefs, train_prefs; name one of them: .*prefs\/test_prefs$/),
    );
    expect(await textsOf(join(at, 'train_prefs'))).toEqual(['data/train_prefs-00000-of-00001.jsonl']);
    await expect(textsOf(join(at, 'nothing'))).rejects.toThrow(failure('DATA_UNKNOWN_EXTENSION', /nothing/));
  });

  it('of several kinds, or of none, says so', async () => {
    await expect(textsOf(laid('kinds', 'a.jsonl', 'b.csv'))).rejects.toThrow(
      failure('DATA_UNKNOWN_FORMAT', /one kind, got \.jsonl, \.csv; .*\*\.jsonl$/),
    );
    await expect(textsOf(laid('none', 'README.md'))).rejects.toThrow(
      failure('DATA_NOT_A_FILE', /a folder of data files/),
    );
  });

  it('has files that are links, as snapshots of the hub are', async () => {
    const at = laid('blobs', 'abc');
    mkdirSync(join(folder, 'snapshot', 'data'), { recursive: true });
    symlinkSync(join(at, 'abc'), join(folder, 'snapshot', 'data', 'train-00000-of-00001.jsonl'));
    expect(await textsOf(join(folder, 'snapshot'))).toEqual(['abc']);
  });
});
