import { type FrozenFile, frozenWeights } from '../checkpoint/frozen.js';
import type { WeightCache } from '../checkpoint/weight-cache.js';
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
