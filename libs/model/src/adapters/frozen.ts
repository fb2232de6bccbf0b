import { withFile } from '@rlhf-streams/files';
import { sizeOf } from '@rlhf-streams/tensor';
import { type FrozenFile, frozenWeights } from '../checkpoint/frozen.js';
import { readBytes } from '../checkpoint/read-bytes.js';
import type { WeightCache } from '../checkpoint/weight-cache.js';
import type { WeightTensor } from '../weights.js';
import type { DescribedModel, ModelFolders } from './read.js';
import { tensorsOf } from './tensors.js';

/**
 * What stands still of a model with an adapter, where it lies: the base's weights but for those of modules that the adapter
 * learns in full. Of a model without an adapter, all its weights.
 * @param hash names the base
 * @throws as `frozenWeights`
 */
export async function frozenTensors(
  { base: dir, adapter }: ModelFolders,
  { config, base }: Pick<DescribedModel, 'config' | 'base'>,
  hash: string,
  cache?: WeightCache,
): Promise<FrozenFile> {
  const frozen = await frozenWeights(dir, base, hash, cache);
  if (adapter === undefined) return frozen;
  const { file, offsets } = frozen.stored;
  const names = [...tensorsOf(config)].flatMap(([name, { frozen }]) => (frozen ? [name] : []));
  return { hash, stored: { file, offsets: Object.fromEntries(names.map((name) => [name, offsets[name]!])) } };
}

/**
 * Copies of some of a model's frozen tensors, which are read from where they lie.
 * @param shapes of those that are asked for, by their names
 * @throws ModelError MODEL_SAFETENSORS_TRUNCATED
 */
export const readFrozen = (
  { stored: { file, offsets } }: FrozenFile,
  shapes: ReadonlyMap<string, readonly number[]>,
): Promise<Map<string, WeightTensor>> =>
  withFile(file, 'r', async (handle) => {
    const tensors = new Map<string, WeightTensor>();
    for (const [name, shape] of shapes) {
      const data = new Float32Array(sizeOf(shape));
      await readBytes(handle, offsets[name]!, new Uint8Array(data.buffer), file);
      tensors.set(name, { shape, data });
    }
    return tensors;
  });
