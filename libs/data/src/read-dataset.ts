import { emptyDataset, requireFile } from './bytes.js';
import { type Dataset, detectFormat } from './columns.js';
import { DataError, requireInteger } from './errors.js';
import { type Row, readJsonLines, readJsonList } from './json.js';
import { readParquet } from './parquet.js';

export interface ReadOptions {
  /** Read at most so many rows, from the first; all by default. */
  limit?: number;
}

type Reader = (path: string, gzip: boolean, limit?: number) => AsyncIterable<Row>;

const READERS: Readonly<Record<string, Reader>> = {
  '.jsonl': readJsonLines,
  '.ndjson': readJsonLines,
  '.json': readJsonList,
  '.parquet': (path, _gzip, limit) => readParquet(path, limit),
};

/**
 * Streams the rows of a dataset file: `.jsonl` (or `.ndjson`) and `.json` (one list of objects), each also with
 * `.gz`, and `.parquet`. The extension decides, in any case of letters.
 *
 * @throws (while iterating) DATA_UNKNOWN_EXTENSION, DATA_NOT_FOUND, DATA_NOT_A_FILE, DATA_UNREADABLE, DATA_EMPTY,
 *   DATA_TOO_LARGE, DATA_GZIP_INVALID, DATA_UTF8_INVALID, DATA_JSON_INVALID, DATA_ROW_INVALID,
 *   DATA_PARQUET_INVALID, DATA_ARGUMENT_INVALID
 */
export async function* readDataset(path: string, options: ReadOptions = {}): AsyncGenerator<Row> {
  const { limit } = options;
  if (limit !== undefined) requireInteger('limit', limit, 1, Number.MAX_SAFE_INTEGER);
  const { read, gzip } = readerOf(path);
  await requireFile(path);
  let count = 0;
  for await (const row of read(path, gzip, limit)) {
    yield row;
    count += 1;
    if (count === limit) return;
  }
  if (count === 0) throw emptyDataset(path);
}

/**
 * Reads a dataset file whole and recognises its format.
 *
 * @throws what `readDataset` and `detectFormat` throw
 */
export async function loadDataset(path: string, options: ReadOptions = {}): Promise<Dataset> {
  const rows: Row[] = [];
  for await (const row of readDataset(path, options)) rows.push(row);
  return detectFormat(rows, { source: path });
}

function readerOf(path: string): { read: Reader; gzip: boolean } {
  const name = path.toLowerCase();
  const gzip = name.endsWith('.gz');
  const extension = /\.[^./\\]*$/.exec(gzip ? name.slice(0, -'.gz'.length) : name)?.[0] ?? '';
  const read = Object.hasOwn(READERS, extension) ? READERS[extension] : undefined;
  if (read === undefined || (gzip && extension === '.parquet')) {
    throw new DataError(
      'DATA_UNKNOWN_EXTENSION',
      `${path}: expected .jsonl, .ndjson or .json (also with .gz), or .parquet, got '${extension}${gzip ? '.gz' : ''}'`,
    );
  }
  return { read, gzip };
}
