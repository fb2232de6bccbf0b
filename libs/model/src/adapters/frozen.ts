import type { Frozen } from '@rlhf-streams/tensor';
import { frozenWeights } from '../checkpoint/directory.js';
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
): Promise<Frozen> {
  const frozen = await frozenWeights(dir, base, hash);
  if (adapter === undefined) return frozen;
  const names = [...tensorsOf(config)].flatMap(([name, { frozen }]) => (frozen ? [name] : []));
  const picked = <T>(byName: Readonly<Record<string, T>>): Record<string, T> =>
    Object.fromEntries(names.map((name) => [name, byName[name]!]));
  return 'values' in frozen
    ? { hash, values: picked(frozen.values) }
    : { hash, stored: { ...frozen.stored, offsets: picked(frozen.stored.offsets) } };
}
