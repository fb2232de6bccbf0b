/**
 * What must hold of a parquet file before hyparquet decodes it. hyparquet reads columns in parallel: where a broken
 * footer makes it throw between two of them, nothing awaits the first one's rejection, which then ends the process.
 */
import {
  type AsyncBuffer,
  type Compressors,
  type FileMetaData,
  parquetSchema,
  type SchemaTree,
} from 'hyparquet';
import { compressors } from 'hyparquet-compressors';

const MOST_PAGE_BYTES = 2 ** 30;

/** The row counts must add up, and each row group must have the schema's columns, each of them once. */
export function requireSaneFooter(metadata: FileMetaData): void {
  const counts = metadata.row_groups.map((group) => Number(group.num_rows));
  const total = counts.reduce((sum, count) => sum + count, 0);
  if (counts.some((count) => !(count >= 0)) || total !== Number(metadata.num_rows)) {
    throw new Error(`its row groups have ${total} rows and its footer says ${metadata.num_rows}`);
  }
  const columns = leafPaths(parquetSchema(metadata));
  if (new Set(columns).size !== columns.length) throw new Error('its schema has a column twice');
  for (const group of metadata.row_groups) {
    const chunks = group.columns.map(({ meta_data }) => JSON.stringify(meta_data?.path_in_schema));
    if (chunks.join() !== columns.join()) throw new Error('a row group has other columns than the schema');
  }
}

/** A page's header states its unpacked size, which a broken header must not make us allocate. */
export const boundedCompressors = Object.fromEntries(
  Object.entries(compressors as Compressors).map(([codec, decompress]) => [
    codec,
    (input: Uint8Array, length: number) => {
      if (!(length >= 0 && length <= MOST_PAGE_BYTES)) throw new Error(`a page claims ${length} bytes`);
      return decompress(input, length);
    },
  ]),
) as Compressors;

/** Refuses broken offsets; a read that hyparquet starts and forgets must not end the process when it fails. */
export function withinBounds(file: AsyncBuffer): AsyncBuffer {
  const read = async (start: number, end: number) => {
    if (!(start >= 0 && start <= end && end <= file.byteLength)) {
      throw new Error(`bytes ${start} to ${end} are outside of its ${file.byteLength}`);
    }
    return file.slice(start, end);
  };
  return {
    byteLength: file.byteLength,
    slice(start, end = file.byteLength) {
      const bytes = read(start, end);
      bytes.catch(() => {});
      return bytes;
    },
  };
}

function leafPaths({ children, path }: SchemaTree): string[] {
  return children.length === 0 ? [JSON.stringify(path)] : children.flatMap(leafPaths);
}
