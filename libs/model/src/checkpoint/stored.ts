/** Where the tensors of a checkpoint lie: in `model.safetensors`, or in shards that an index names. */
import { join } from 'node:path';
import { z } from 'zod';
import { ModelError } from '../errors.js';
import type { StoredTensor } from './decode.js';
import { exists, readJson } from './json-file.js';
import { readSafetensorsHeader } from './safetensors.js';

export const WEIGHTS_FILE = 'model.safetensors';
export const INDEX_FILE = 'model.safetensors.index.json';

/**
 * The tensors of the checkpoint in a folder by the names they are stored under; undefined where it has no safetensors.
 * Where there is a `model.safetensors` it is the checkpoint, as in transformers, though an index may lie beside it.
 * @throws MODEL_CHECKPOINT_INDEX, MODEL_CHECKPOINT_MISSING, MODEL_SAFETENSORS_*
 */
export async function storedTensors(dir: string): Promise<ReadonlyMap<string, StoredTensor> | undefined> {
  const single = join(dir, WEIGHTS_FILE);
  if (await exists(single)) return tensorsIn(single);
  const shardOf = await readIndex(dir);
  if (!shardOf) return undefined;
  const tensors = new Map<string, StoredTensor>();
  for (const shard of [...new Set(shardOf.values())].sort()) {
    const file = join(dir, shard);
    if (!(await exists(file))) {
      throw new ModelError(
        'MODEL_CHECKPOINT_MISSING',
        `${dir} has no ${shard}, one of the shards that ${INDEX_FILE} names: fetch it too.`,
      );
    }
    for (const [name, tensor] of await tensorsIn(file)) {
      const other = tensors.get(name);
      if (other)
        throw indexError(dir, `${name} lies in ${shard} and in another shard: which of them is meant?`);
      tensors.set(name, tensor);
    }
  }
  for (const [name, shard] of shardOf)
    if (tensors.get(name)?.file !== join(dir, shard))
      throw indexError(
        dir,
        `it says that ${name} lies in ${shard}, which does not have it: the index or the shard is another model's, fetch both again.`,
      );
  return tensors;
}

/** Names of the files that have the weights of the checkpoint in a folder, and of their index. @throws MODEL_CHECKPOINT_INDEX */
export async function weightFiles(dir: string): Promise<readonly string[]> {
  if (await exists(join(dir, WEIGHTS_FILE))) return [WEIGHTS_FILE];
  const shardOf = await readIndex(dir);
  return shardOf ? [INDEX_FILE, ...new Set(shardOf.values())] : [];
}

async function tensorsIn(file: string): Promise<Map<string, StoredTensor>> {
  const { entries, dataStart } = await readSafetensorsHeader(file);
  return new Map(
    [...entries].map(([name, { dtype, shape, begin, end }]) => [
      name,
      { file, dtype, shape, begin: dataStart + begin, end: dataStart + end },
    ]),
  );
}

/** A model of 100,000 tensors has an index of 10 MB. */
const MAX_INDEX_BYTES = 2 ** 26;

const index = z.looseObject({
  // A shard lies in the folder itself: a name that leads out of it is none.
  weight_map: z.record(z.string(), z.string().regex(/^(?!\.)[^/\\\0]+\.safetensors$/)),
});

/** The file names of shards by the names of their tensors; undefined where the folder has no index. */
async function readIndex(dir: string): Promise<Map<string, string> | undefined> {
  const json = await readJson(join(dir, INDEX_FILE), MAX_INDEX_BYTES, 'MODEL_CHECKPOINT_INDEX');
  if (json === undefined) return undefined;
  const parsed = index.safeParse(json);
  if (!parsed.success)
    throw indexError(
      dir,
      `expected a weight_map from tensors to safetensors files of this folder: ${z.prettifyError(parsed.error)}`,
    );
  return new Map(Object.entries(parsed.data.weight_map));
}

const indexError = (dir: string, message: string) =>
  new ModelError('MODEL_CHECKPOINT_INDEX', `${join(dir, INDEX_FILE)}: ${message}`);
