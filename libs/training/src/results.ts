/** The results of a step's items as a parquet file, which pandas, DuckDB and the like read as it is. */
import type { SchemaElement } from 'hyparquet';
import { parquetWriteBuffer } from 'hyparquet-writer';
import type { ItemResult } from './methods/method.js';

/** Its name in the artifact that `step.completed` names. */
export const RESULTS_FILE = 'results.parquet';

type Value = ItemResult[string];

/**
 * A row an item, in their order; a column a key: text, a number as float64, numbers by token as a list of float32. The
 * same results give the same bytes.
 *
 * @param results at least one.
 * @throws Error for an item whose keys are not those of the first, which is a mistake of the method.
 */
export function resultsFile(results: readonly ItemResult[]): Uint8Array {
  const [first] = results;
  const names = Object.keys(first!);
  for (const result of results) {
    if (Object.keys(result).join() !== names.join())
      throw new Error(`expected results of ${names.join()} for each item, got ${Object.keys(result).join()}`);
  }
  const columnData = names.map((name) => ({ name, data: results.map((result) => result[name]!) }));
  const columns = names.map((name) => columnOf(name, first![name]!));
  const root: SchemaElement = { name: 'root', num_children: names.length };
  return new Uint8Array(parquetWriteBuffer({ columnData, schema: [root, ...columns.flat()] }));
}

function columnOf(name: string, value: Value): SchemaElement[] {
  const column = { name, repetition_type: 'REQUIRED' } as const;
  if (typeof value === 'string') return [{ ...column, type: 'BYTE_ARRAY', converted_type: 'UTF8' }];
  if (typeof value === 'number') return [{ ...column, type: 'DOUBLE' }];
  return [
    { ...column, num_children: 1, converted_type: 'LIST', logical_type: { type: 'LIST' } },
    { name: 'list', repetition_type: 'REPEATED', num_children: 1 },
    { name: 'element', repetition_type: 'REQUIRED', type: 'FLOAT' },
  ];
}
