/** A frozen base with its matrices laid out for products, in a file that the sessions of all threads and processes map. */
import { PACKING, packedContents, packedTensors } from '@rlhf-streams/tensor';
import type { FrozenFile } from '../checkpoint/frozen.js';
import { cachedFile, userCache, type WeightCache } from '../checkpoint/weight-cache.js';
import { isLarge } from '../memory.js';
import type { ModelConfig } from '../model-config.js';
import { parameterSpecs } from '../weights.js';
import { generationProducts } from './programs.js';

/**
 * Weights as generation takes them: those of a large model are laid out for products in a file of the cache.
 * @throws errors of the file system as they are
 */
export const packedForGeneration = async (
  config: ModelConfig,
  frozen: FrozenFile,
  cache?: WeightCache,
): Promise<FrozenFile> => (isLarge(config) ? packedWeights(config, frozen, cache) : frozen);

/**
 * The same weights in a file of the cache: as they are, and the matrices of products once more, as sessions lay them out.
 * That takes twice the size of the model on the disk, and of memory what is used of it: generating from weights as they
 * are takes a copy of them for each session, or twice the time for a few sequences.
 */
async function packedWeights(
  config: ModelConfig,
  { hash, stored }: FrozenFile,
  cache: WeightCache = userCache(),
): Promise<FrozenFile> {
  const specs = parameterSpecs(config);
  const products = generationProducts(config);
  const tensors = Object.keys(stored.offsets).map((name) => [name, specs[name]!.shape, products.get(name)]);
  const path = await cachedFile(cache, {
    identity: { PACKING, hash, tensors },
    contents: () => packedContents(stored, specs, products),
  });
  return { hash: `${hash} packed`, stored: await packedTensors(path) };
}
