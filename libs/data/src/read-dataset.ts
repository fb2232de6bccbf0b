import { stat } from 'node:fs/promises';
import { emptyDataset, requireFile } from './bytes.js';
import { type Dataset, detectFormat } from './columns.js';
import { readSeparated } from './csv.js';
import { DataError, requireInteger } from './errors.js';
import { type Row, readJsonLines, readJsonList } from './json.js';
import { readParquet } from './parquet.js';
import { readSaved } from './saved-dataset.js';

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

/**
 * Streams the rows of a dataset file: `.jsonl` (or `.ndjson`), `.json` (one list of objects), `.csv` and `.tsv`, each
 * also with `.gz`, and `.parquet`; or of a folder that Hugging Face's `save_to_disk` wrote. The extension, in upper or
 * lower case, decides how a file is read.
 *
 * @throws (while iterating) DATA_UNKNOWN_EXTENSION, DATA_NOT_FOUND, DATA_NOT_A_FILE, DATA_UNREADABLE, DATA_EMPTY,
 *   DATA_TOO_LARGE, DATA_GZIP_INVALID, DATA_UTF8_INVALID, DATA_JSON_INVALID, DATA_ROW_INVALID, DATA_CSV_INVALID,
 *   DATA_PARQUET_INVALID, DATA_ARROW_INVALID, DATA_SPLIT_NEEDED, DATA_ARGUMENT_INVALID
 */
export async function* readDataset(path: string, options: ReadOptions = {}): AsyncGenerator<Row> {
  const { limit } = options;
  if (limit !== undefined) requireInteger('limit', limit, 1, Number.MAX_SAFE_INTEGER);
  let count = 0;
  for await (const row of (await isFolder(path)) ? readSaved(path) : readFile(path, limit)) {
    yield row;
    count += 1;
    if (count === limit) return;
  }
  if (count === 0) throw emptyDataset(path);
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
 * Reads a dataset file whole and recognises its format.
 *
 * @throws what `readDataset` and `detectFormat` throw
 */
export async function loadDataset(
  path: string,
  {
    keep = [],
    ...options
  }: ReadOptions & { /** Other columns that rows keep, as `kept`. */ keep?: readonly string[] } = {},
): Promise<Dataset> {
  const rows: Row[] = [];
  for await (const row of readDataset(path, options)) rows.push(row);
  return detectFormat(rows, { source: path, keep });
}

function readerOf(path: string): { read: Reader; gzip: boolean } {
  const name = path.toLowerCase();
  const gzip = name.endsWith('.gz');
  const extension = /\.[^./\\]*$/.exec(gzip ? name.slice(0, -'.gz'.length) : name)?.[0] ?? '';
  const read = Object.hasOwn(READERS, extension) ? READERS[extension] : undefined;
  if (read === undefined || (gzip && extension === '.parquet')) {
    throw new DataError(
      'DATA_UNKNOWN_EXTENSION',
      `${path}: expected .jsonl, .ndjson, .json, .csv or .tsv (also with .gz), .parquet, or a folder of Hugging Face's save_to_disk, got '${extension}${gzip ? '.gz' : ''}'`,
    );
  }
  return { read, gzip };
}
