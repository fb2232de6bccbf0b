/** What must hold of an Arrow record batch before its values are read: a broken offset must not make a list of billions. */
import type { Data, RecordBatch } from 'apache-arrow';

/**
 * @param bytes size of the file; every value takes at least one bit of it
 * @throws Error when a length or an offset points past what the batch holds
 */
export function requireSaneBatch({ data }: RecordBatch, bytes: number): void {
  requireSane(data, 8 * bytes);
}

function requireSane(data: Data, mostValues: number): void {
  const { length, children, valueOffsets, values } = data;
  if (!(length >= 0 && length <= mostValues)) throw new Error(`a column claims ${length} values`);
  if (length > 0 && valueOffsets?.length > 0) {
    const held = children[0]?.length ?? values.length;
    if (valueOffsets.length <= length) throw new Error('a column has too few offsets');
    let last = 0;
    for (let index = 0; index <= length; index++) {
      const offset = Number(valueOffsets[index]);
      if (!(offset >= last && offset <= held)) throw new Error(`a column has an offset of ${offset}`);
      last = offset;
    }
  }
  for (const child of children) requireSane(child, mostValues);
}
