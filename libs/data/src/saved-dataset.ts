/** Rows of a folder that Hugging Face's `datasets` wrote with `save_to_disk`. */
import { createReadStream } from 'node:fs';
import { open, readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { exists, unlessMissing } from '@rlhf-streams/files';
import { z } from 'zod';
import { requireSaneBatch } from './arrow-checks.js';
import { messageOf, requireFile } from './bytes.js';
import { isLabel } from './columns.js';
import { splitNeeded } from './data-files.js';
import { DataError } from './errors.js';
import type { Row } from './json.js';
import { plain } from './plain.js';

const STATE = 'state.json';
const INFO = 'dataset_info.json';
const SPLITS = 'dataset_dict.json';

const DatasetDict = z.object({ splits: z.array(z.string()).min(1) });
const State = z.object({
  _data_files: z.array(z.object({ filename: z.string().refine((name) => basename(name) === name) })),
});
/** Whether a folder is one that `save_to_disk` wrote. */
export const isSaved = async (folder: string): Promise<boolean> =>
  (await exists(join(folder, STATE))) || exists(join(folder, SPLITS));

/** A column of integer classes lists their names, so that the names of an integer label say what it means. */
const Info = z.object({
  features: z.record(z.string(), z.object({ names: z.array(z.string()).optional() }).catch({})),
});

/**
 * Streams the rows of a saved dataset, one record batch in memory at a time; a folder of splits gives the rows of
 * `train`. A label whose names mean positive and negative comes as its name, because every dataset numbers them its own
 * way.
 *
 * @throws DATA_NOT_A_FILE, DATA_SPLIT_NEEDED, DATA_NOT_FOUND, DATA_ARROW_INVALID
 */
export async function* readSaved(folder: string): AsyncGenerator<Row> {
  const dict = await readJson(folder, SPLITS, DatasetDict);
  if (dict !== undefined) {
    if (!dict.splits.includes('train')) throw splitNeeded(folder, dict.splits);
    yield* readSaved(join(folder, 'train'));
    return;
  }
  const state = await readJson(folder, STATE, State);
  if (state === undefined) {
    throw new DataError(
      'DATA_NOT_A_FILE',
      `${folder}: expected a dataset file, a folder of data files, or one of Hugging Face's save_to_disk with a ${STATE}, but it is a directory without any`,
    );
  }
  const info = await readJson(folder, INFO, Info);
  const names = info?.features.label?.names;
  const labels = names?.every(isLabel) ? names : [];
  for (const { filename } of state._data_files) {
    for await (const row of readArrow(join(folder, filename))) {
      const label = labels[row.label as number];
      yield label === undefined ? row : { ...row, label };
    }
  }
}

/** A folder's JSON file, if it has one. */
async function readJson<T>(folder: string, name: string, schema: z.ZodType<T>): Promise<T | undefined> {
  const path = join(folder, name);
  const json = await unlessMissing(readFile(path, 'utf8')).catch((cause) => {
    throw new DataError('DATA_UNREADABLE', `${path}: cannot be read: ${messageOf(cause)}`, { cause });
  });
  if (json === undefined) return undefined;
  try {
    return schema.parse(JSON.parse(json));
  } catch (cause) {
    throw new DataError(
      'DATA_ARROW_INVALID',
      `${path}: expected what Hugging Face's save_to_disk writes, got something else; save the dataset again`,
      { cause },
    );
  }
}

/** The marker that ends every complete stream of Arrow's IPC format. */
const END_OF_STREAM = Buffer.from('ffffffff00000000', 'hex');

async function* readArrow(path: string): AsyncGenerator<Row> {
  await requireFile(path);
  try {
    const bytes = await requireEnd(path);
    // Arrow takes a fifth of a second to load: only readers of such a dataset wait for it.
    const { RecordBatchReader } = await import('apache-arrow');
    const reader = await RecordBatchReader.from(createReadStream(path));
    await reader.open();
    const columns = reader.schema.fields.map(({ name }) => name);
    if (new Set(columns).size !== columns.length) throw new Error('its schema has a column twice');
    for await (const batch of reader) {
      requireSaneBatch(batch, bytes);
      for (let row = 0; row < batch.numRows; row++) yield plain(batch.get(row)) as Row;
    }
  } catch (cause) {
    if (cause instanceof DataError) throw cause;
    const compressed = /codec/i.test(messageOf(cause));
    throw new DataError(
      'DATA_ARROW_INVALID',
      compressed
        ? `${path}: expected uncompressed Arrow data, got compressed buffers; save the dataset without compression, or as parquet`
        : `${path}: expected a whole Arrow stream, but ${messageOf(cause)}; save the dataset again`,
      { cause },
    );
  }
}

/** The bytes of a file that has its end marker: the reader takes a file cut off between two batches for a whole one. */
async function requireEnd(path: string): Promise<number> {
  const file = await open(path);
  try {
    const { size } = await file.stat();
    const { buffer } = await file.read(Buffer.alloc(8), 0, 8, Math.max(0, size - 8));
    if (!buffer.equals(END_OF_STREAM)) throw new Error('its end is missing');
    return size;
  } finally {
    await file.close();
  }
}
