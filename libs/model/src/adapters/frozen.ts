import { withFile } from '@rlhf-streams/files';
import { type Frozen, sizeOf } from '@rlhf-streams/tensor';
import { frozenWeights } from '../checkpoint/directory.js';
import { ModelError } from '../errors.js';
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

/**
 * Copies of some of a model's frozen tensors, which are read from where they lie.
 * @param shapes of those that are asked for, by their names
 * @throws ModelError MODEL_SAFETENSORS_TRUNCATED
 */
export async function readFrozen(
  frozen: Frozen,
  shapes: ReadonlyMap<string, readonly number[]>,
): Promise<Map<string, WeightTensor>> {
  if ('values' in frozen) {
    const copy = (name: string) => Float32Array.from(frozen.values[name]!);
    return new Map([...shapes].map(([name, shape]) => [name, { shape, data: copy(name) }]));
  }
  const { file, offsets } = frozen.stored;
  return withFile(file, 'r', async (handle) => {
    const tensors = new Map<string, WeightTensor>();
    for (const [name, shape] of shapes) {
      const data = new Float32Array(sizeOf(shape));
      const bytes = new Uint8Array(data.buffer);
      for (let done = 0; done < bytes.length; ) {
        const { bytesRead } = await handle.read(bytes, done, bytes.length - done, offsets[name]! + done);
        if (bytesRead === 0)
          throw new ModelError(
            'MODEL_SAFETENSORS_TRUNCATED',
            `${file}: expected all of ${name}, the file ends in it`,
          );
        done += bytesRead;
      }
      tensors.set(name, { shape, data });
    }
    return tensors;
  });
}
