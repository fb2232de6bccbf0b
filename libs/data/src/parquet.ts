/** Rows of parquet files, one row group in memory at a time. */
import {
  type AsyncBuffer,
  asyncBufferFromFile,
  type FileMetaData,
  parquetMetadataAsync,
  parquetReadObjects,
} from 'hyparquet';
import { decodeUtf8, messageOf } from './bytes.js';
import { DataError } from './errors.js';
import type { Row } from './json.js';
import { boundedCompressors, requireSaneFooter, withinBounds } from './parquet-checks.js';
import { plain } from './plain.js';

/**
 * Streams the rows of a parquet file (any codec but LZO), at most `limit`. Values come as in JSON: integers as
 * numbers (as decimal strings past 2^53), times as ISO strings, missing values as null; a binary column
 * without a string annotation as a string where it is UTF-8, else as bytes.
 *
 * @throws DATA_PARQUET_INVALID, DATA_UTF8_INVALID
 */
export async function* readParquet(path: string, limit = Number.POSITIVE_INFINITY): AsyncGenerator<Row> {
  const file = withinBounds(await asyncBufferFromFile(path));
  const metadata = await readingParquet(path, async () => {
    const footer = await parquetMetadataAsync(file, { geoparquet: false });
    requireSaneFooter(footer);
    return footer;
  });
  let start = 0;
  for (const rowGroup of metadata.row_groups) {
    const end = Math.min(start + Number(rowGroup.num_rows), limit);
    if (start >= end) continue;
    const rows = await readingParquet(path, () => readRows(path, file, metadata, start, end));
    for (const row of rows) yield plain(row) as Row;
    start = end;
  }
}

function readRows(path: string, file: AsyncBuffer, metadata: FileMetaData, rowStart: number, rowEnd: number) {
  const where = `${path}: rows ${rowStart + 1} to ${rowEnd}`;
  return parquetReadObjects({
    file,
    metadata,
    rowStart,
    rowEnd,
    compressors: boundedCompressors,
    utf8: false,
    geoparquet: false,
    parsers: { stringFromBytes: (bytes) => bytes && decodeUtf8(bytes, where) },
  });
}

async function readingParquet<T>(path: string, read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (cause) {
    if (cause instanceof DataError) throw cause;
    throw new DataError(
      'DATA_PARQUET_INVALID',
      `${path}: expected a whole parquet file, but ${messageOf(cause)}; fetch or write the file again`,
      { cause },
    );
  }
}
