/** What `config.json` says of how weights are stored; the rest of it is the architecture's. */
import { z } from 'zod';
import type { Architecture } from '../architecture.js';
import { checked } from '../architectures/config-json.js';
import { architectureOf } from '../architectures/index.js';
import type { ModelConfig, StoredAs } from '../model-config.js';
import { jsonText } from './json-file.js';
import { byName, isInShardOrder } from './shard-order.js';
import type { StoredWeights } from './tensors.js';

export const DTYPES: ReadonlyMap<StoredAs['dtype'], string> = new Map([
  ['float32', 'F32'],
  ['float16', 'F16'],
  ['bfloat16', 'BF16'],
]);

/** Our own: transformers keeps it, and does nothing by it. */
const published = z.looseObject({
  stored_as: z
    .object({
      dtype: z.enum(['float32', 'float16', 'bfloat16']),
      max_shard_bytes: z.int().positive().optional(),
      shard_order: z.literal('name').optional(),
    })
    .optional(),
});

/**
 * How the checkpoint is stored or, where it was published here in float32, how the one was that it began as; undefined where
 * that is float32 in one file.
 * @throws MODEL_CONFIG_INVALID
 */
export function readStoredAs(
  configJson: unknown,
  { tensors }: StoredWeights,
  architecture: Pick<Architecture, 'storedName'>,
  source: string,
): StoredAs | undefined {
  const { stored_as: began } = checked(published, configJson, 'MODEL_CONFIG_INVALID', source);
  const ofDtype = new Map<string, number>();
  const ofFile = new Map<string, number>();
  for (const { dtype, file, begin, end } of tensors.values()) {
    ofDtype.set(dtype, (ofDtype.get(dtype) ?? 0) + end - begin);
    ofFile.set(file, (ofFile.get(file) ?? 0) + end - begin);
  }
  const [most] = [...ofDtype].reduce((a, b) => (b[1] > a[1] ? b : a));
  const [dtype = 'float32'] = [...DTYPES].find(([, stored]) => stored === most) ?? [];
  const isOne = ofFile.size === 1;
  // What was published is float32 in one file: where transformers saved it otherwise, and kept the field, that counts.
  if (dtype === 'float32' && isOne)
    return began && storedAs(began.dtype, began.max_shard_bytes, began.shard_order);
  if (isOne) return storedAs(dtype);
  const { storedName } = architecture;
  const shards = (names: readonly string[]) => names.map((name) => tensors.get(name)!.file);
  const names = [...tensors.keys()];
  const sorted = names.toSorted((a, b) => byName(storedName(a), storedName(b)));
  const isByName = !isInShardOrder(shards(names)) && isInShardOrder(shards(sorted));
  return storedAs(dtype, Math.max(...ofFile.values()), isByName ? 'name' : undefined);
}

const storedAs = (
  dtype: StoredAs['dtype'],
  maxShardBytes?: number | undefined,
  shardOrder?: StoredAs['shardOrder'] | undefined,
): StoredAs => ({
  dtype,
  ...(maxShardBytes !== undefined && { maxShardBytes }),
  ...(shardOrder && { shardOrder }),
});

/** The `config.json` of a model whose weights are stored in `dtype`. */
export function configText(config: ModelConfig, dtype: StoredAs['dtype'] = 'float32'): string {
  const { storedAs } = config;
  const fields = {
    ...architectureOf(config).configJson(config),
    dtype,
    // transformers before 4.56 knows no other name for it, and takes float32 where it is missing.
    ...(dtype !== 'float32' && { torch_dtype: dtype }),
    ...(storedAs && {
      stored_as: {
        dtype: storedAs.dtype,
        ...(storedAs.maxShardBytes !== undefined && { max_shard_bytes: storedAs.maxShardBytes }),
        ...(storedAs.shardOrder && { shard_order: storedAs.shardOrder }),
      },
    }),
  };
  return jsonText(Object.fromEntries(Object.entries(fields).sort(([a], [b]) => (a < b ? -1 : 1))));
}
