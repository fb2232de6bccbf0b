/** Weights that nobody changes, in a file that engines map: threads and processes share its pages. */
import { stat } from 'node:fs/promises';
import { basename } from 'node:path';
import type { Frozen } from '@rlhf-streams/tensor';
import type { ModelConfig } from '../model-config.js';
import { decodedChunks, type StoredTensor } from './decode.js';
import { checkCopies, storedWeights } from './tensors.js';
import { cachedFile, userCache, type WeightCache } from './weight-cache.js';

/** Frozen tensors that lie in a file. */
export type FrozenFile = Extract<Frozen, { readonly stored: unknown }>;

/** A file made by another rule is not used. */
const FORMAT = 1;
const ALIGNMENT = 64;

/**
 * The weights of a checkpoint that was described: where they lie in its file, when that is how programs take them, else in a
 * file of the cache, where they are decoded to once, a chunk at a time.
 * @param hash names the weights
 * @param cache default: a folder of the user's own
 * @throws MODEL_CHECKPOINT_*, MODEL_SAFETENSORS_*; errors of the file system as they are
 */
export async function frozenWeights(
  dir: string,
  config: ModelConfig,
  hash: string,
  cache: WeightCache = userCache(),
): Promise<FrozenFile> {
  const weights = await storedWeights(dir, config);
  const inPlace = offsetsInPlace(weights.tensors);
  if (inPlace) {
    await checkCopies(weights);
    return { hash, stored: inPlace };
  }
  const { offsets, size } = decodedLayout(weights.tensors);
  const file = await cachedFile(cache, {
    identity: { FORMAT, hash, offsets, sources: await sourcesOf(weights.tensors) },
    size,
    contents: async function* () {
      await checkCopies(weights);
      yield* decoded(weights.tensors, offsets);
    },
  });
  return { hash, stored: { file, offsets } };
}

type Tensors = ReadonlyMap<string, StoredTensor>;

/** Undefined where the tensors are no float32, or not in one file. */
function offsetsInPlace(tensors: Tensors) {
  const [{ file }] = [...tensors.values()] as [StoredTensor];
  for (const tensor of tensors.values())
    if (tensor.file !== file || tensor.dtype !== 'F32' || tensor.begin % 4 !== 0) return undefined;
  return { file, offsets: Object.fromEntries([...tensors].map(([name, { begin }]) => [name, begin])) };
}

function decodedLayout(tensors: Tensors) {
  const offsets: Record<string, number> = {};
  let size = 0;
  for (const [name, { shape }] of tensors) {
    offsets[name] = size = Math.ceil(size / ALIGNMENT) * ALIGNMENT;
    size += 4 * shape.reduce((product, length) => product * length, 1);
  }
  return { offsets, size };
}

/** What is stored where, and when those files were written: a hash that names other weights by mistake finds none of these. */
async function sourcesOf(tensors: Tensors) {
  const places = [...tensors].map(([name, { file, dtype, begin }]) => [name, basename(file), dtype, begin]);
  const files = [...new Set([...tensors.values()].map(({ file }) => file))];
  const written = files.map(async (file) => (await stat(file)).mtimeMs);
  return [places, await Promise.all(written)];
}

async function* decoded(tensors: Tensors, offsets: Readonly<Record<string, number>>) {
  let at = 0;
  for (const [name, tensor] of tensors) {
    yield new Uint8Array(offsets[name]! - at);
    at = offsets[name]!;
    for await (const numbers of decodedChunks(tensor)) {
      yield new Uint8Array(numbers.buffer, numbers.byteOffset, numbers.byteLength);
      at += numbers.byteLength;
    }
  }
}
