import { stat } from 'node:fs/promises';
import { basename, dirname, isAbsolute, resolve } from 'node:path';
import { filesMatching, isPattern, unlessMissing } from '@rlhf-streams/files';
import { emptyDataset, requireFile } from './bytes.js';
import { type Dataset, detectFormat } from './columns.js';
import { readSeparated } from './csv.js';
import { dataFilesIn, trainOf } from './data-files.js';
import { DataError, requireInteger } from './errors.js';
import { type Row, readJsonLines, readJsonList } from './json.js';
import { readParquet } from './parquet.js';
import { isSaved, readSaved } from './saved-dataset.js';

export interface ReadOptions {
  /** The most rows to read, from the first; default: all. */
  limit?: number;
}

type Reader = (path: string, gzip: boolean, limit?: number) => AsyncIterable<Row>;

const READERS: Readonly<Record<string, Reader>> = {
  '.jsonl': readJsonLines,
  '.ndjson': readJsonLines,
  '.json': readJsonList,
  '.csv': (path, gzip) => readSeparated(path, gzip, ','),
  '.tsv': (path, gzip) => readSeparated(path, gzip, '\t'),
  '.parquet': (path, _gzip, limit) => readParquet(path, limit),
};

/** A file or folder, a pattern of files, or several of them. */
type Paths = string | readonly string[];

/**
 * Streams the rows of dataset files: `.jsonl` (or `.ndjson`), `.json` (one list of objects), `.csv` and `.tsv`, each
 * also with `.gz`, and `.parquet`; of a folder of such files, as datasets lie on Hugging Face's hub; or of one that
 * `save_to_disk` wrote. The extension, in upper or lower case, decides how a file is read. A pattern, `shards/*.parquet`,
 * is the files that it matches, in the order of their names. Of a folder with splits, `train` is read, or the one that
 * the path names behind the folder.
 *
 * @throws (while iterating) DATA_UNKNOWN_EXTENSION, DATA_NOT_FOUND, DATA_NOT_A_FILE, DATA_UNREADABLE, DATA_EMPTY,
 *   DATA_TOO_LARGE, DATA_GZIP_INVALID, DATA_UTF8_INVALID, DATA_JSON_INVALID, DATA_ROW_INVALID, DATA_CSV_INVALID,
 *   DATA_PARQUET_INVALID, DATA_ARROW_INVALID, DATA_SPLIT_NEEDED, DATA_ARGUMENT_INVALID
 */
export async function* readDataset(paths: Paths, options: ReadOptions = {}): AsyncGenerator<Row> {
  for await (const { row } of readRows(paths, options)) yield row;
}

/** Rows with the file, or folder, that each is of. */
async function* readRows(
  paths: Paths,
  { limit }: ReadOptions,
): AsyncGenerator<{ readonly row: Row; readonly path: string }> {
  if (limit !== undefined) requireInteger('limit', limit, 1, Number.MAX_SAFE_INTEGER);
  let count = 0;
  for (const written of [paths].flat())
    for (const path of await filesOf(written)) {
      const before = count;
      const rows = (await isFolder(path)) ? readSaved(path) : readFile(path, limit && limit - count);
      for await (const row of rows) {
        yield { row, path };
        count += 1;
        if (count === limit) return;
      }
      if (count === before) throw emptyDataset(path);
    }
}

/** The files that a path stands for; itself where it is a file, a saved dataset, or nothing. */
async function filesOf(path: string): Promise<string[]> {
  const stats = await unlessMissing(stat(path)).catch(() => undefined);
  if (stats?.isDirectory()) {
    const files = (await isSaved(path)) ? [] : await dataFilesIn(path);
    return files.length === 0 ? [path] : trainOf(path, files);
  }
  if (stats) return [path];
  if (isPattern(path)) {
    const files = await filesMatching(path);
    if (files.length > 0) return files;
    throw new DataError(
      'DATA_NOT_FOUND',
      `${path}: no file matches${isAbsolute(path) ? '' : `, looked for ${resolve(path)}`}; check the pattern`,
    );
  }
  const folder = dirname(path);
  if (!(await isFolder(folder))) return [path];
  const ofSplit = (await dataFilesIn(folder)).filter(({ split }) => split === basename(path));
  return ofSplit.length === 0 ? [path] : ofSplit.map((file) => file.path);
}

async function* readFile(path: string, limit?: number): AsyncGenerator<Row> {
  const { read, gzip } = readerOf(path);
  await requireFile(path);
  yield* read(path, gzip, limit);
}

/** A path that cannot be inspected counts as a file: reading it then tells what is wrong. */
const isFolder = (path: string): Promise<boolean> =>
  stat(path).then(
    (stats) => stats.isDirectory(),
    () => false,
  );

/**
 * Reads dataset files whole and recognises their format, which is one for all. Errors name the file, and the row in it.
 *
 * @throws what `readDataset` and `detectFormat` throw
 */
export async function loadDataset(
  paths: Paths,
  {
    keep = [],
    ...options
  }: ReadOptions & { /** Other columns that rows keep, as `kept`. */ keep?: readonly string[] } = {},
): Promise<Dataset> {
  const rows: Row[] = [];
  const starts: { readonly path: string; readonly from: number }[] = [];
  for await (const { row, path } of readRows(paths, options)) {
    if (starts.at(-1)?.path !== path) starts.push({ path, from: rows.length });
    rows.push(row);
  }
  const where = (index: number) => {
    const { path, from } = starts.findLast((start) => start.from <= index)!;
    return `${path}: row ${index - from + 1}`;
  };
  return detectFormat(rows, { source: [paths].flat().join(', '), where, keep });
}

function readerOf(path: string): { read: Reader; gzip: boolean } {
  const name = path.toLowerCase();
  const gzip = name.endsWith('.gz');
  const extension = /\.[^./\\]*$/.exec(gzip ? name.slice(0, -'.gz'.length) : name)?.[0] ?? '';
  const read = Object.hasOwn(READERS, extension) ? READERS[extension] : undefined;
  if (read === undefined || (gzip && extension === '.parquet')) {
    throw new DataError(
      'DATA_UNKNOWN_EXTENSION',
      `${path}: expected .jsonl, .ndjson, .json, .csv or .tsv (also with .gz), .parquet, a folder of such files or of Hugging Face's save_to_disk, got '${extension}${gzip ? '.gz' : ''}'`,
    );
  }
  return { read, gzip };
}
