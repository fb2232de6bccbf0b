/** Weights as files in any precision and in shards, written a piece at a time. */
import type { FileContents } from '@rlhf-streams/files';
import { DTYPES } from '../checkpoint/config-file.js';
import { toHalves } from '../checkpoint/encode.js';
import { jsonText } from '../checkpoint/json-file.js';
import { headerOf, type TensorEntry } from '../checkpoint/safetensors.js';
import { byName } from '../checkpoint/shard-order.js';
import { INDEX_FILE, WEIGHTS_FILE } from '../checkpoint/stored.js';
import { ModelError } from '../errors.js';
import type { StoredAs } from '../model-config.js';

export interface TensorSource {
  readonly shape: readonly number[];
  /** Its numbers in their order; a chunk may be overwritten by the next. */
  readonly chunks: () => AsyncIterable<Float32Array>;
}

/** A tensor as it will be stored. */
interface Part extends TensorEntry {
  readonly name: string;
  readonly chunks: TensorSource['chunks'];
}

/**
 * Files by their names: `model.safetensors`, or shards and their index where it would be larger than `maxShardBytes`.
 * @param tensors by the names to store them under, in the order of the model
 * @throws MODEL_DTYPE_RANGE while they are written, where a number is beyond the largest of the dtype
 */
export function weightFiles(
  tensors: ReadonlyMap<string, TensorSource>,
  { dtype, maxShardBytes = Number.POSITIVE_INFINITY, shardOrder }: StoredAs,
): Map<string, FileContents> {
  const stored = DTYPES.get(dtype)!;
  const width = dtype === 'float32' ? 4 : 2;
  const parts = [...tensors].map(([name, { shape, chunks }]): Part => {
    const bytes = width * shape.reduce((product, size) => product * size, 1);
    return { name, dtype: stored, shape, bytes, chunks };
  });
  if (shardOrder === 'name') parts.sort((a, b) => byName(a.name, b.name));
  const shards: { parts: Part[]; bytes: number }[] = [];
  for (const part of parts) {
    const last = shards.at(-1);
    if (last && last.bytes + part.bytes <= maxShardBytes) {
      last.parts.push(part);
      last.bytes += part.bytes;
    } else shards.push({ parts: [part], bytes: part.bytes });
  }
  if (shards.length === 1) return new Map([[WEIGHTS_FILE, fileOf(parts, dtype)]]);
  const nameOf = (shard: number) =>
    `model-${fiveDigits(shard + 1)}-of-${fiveDigits(shards.length)}.safetensors`;
  const places = shards.flatMap(({ parts }, i) => parts.map(({ name }) => [name, nameOf(i)] as const));
  const index = {
    metadata: { total_size: shards.reduce((sum, { bytes }) => sum + bytes, 0) },
    weight_map: Object.fromEntries(places.sort(([a], [b]) => (a < b ? -1 : 1))),
  };
  return new Map<string, FileContents>([
    ...shards.map(({ parts }, i) => [nameOf(i), fileOf(parts, dtype)] as const),
    [INDEX_FILE, jsonText(index)],
  ]);
}

const fiveDigits = (number: number) => String(number).padStart(5, '0');

async function* fileOf(parts: readonly Part[], dtype: StoredAs['dtype']): AsyncGenerator<Uint8Array> {
  const ordered = [...parts].sort((a, b) => (a.name < b.name ? -1 : 1));
  const entries = ordered.map(({ name, ...entry }) => [name, entry] as const);
  // transformers refuses a file without this piece of metadata.
  yield headerOf(entries, { format: 'pt' });
  for (const { name, chunks } of ordered)
    for await (const numbers of chunks()) {
      const { buffer, byteOffset, byteLength } = stored(name, numbers, dtype);
      yield new Uint8Array(buffer, byteOffset, byteLength);
    }
}

function stored(name: string, numbers: Float32Array, dtype: StoredAs['dtype']): Float32Array | Uint16Array {
  if (dtype === 'float32') return numbers;
  const halves = toHalves(numbers, dtype === 'float16' ? 'F16' : 'BF16');
  if (halves) return halves;
  const largest = numbers.reduce((most, number) => Math.max(most, Math.abs(number)), 0);
  const others = dtype === 'float16' ? 'bfloat16 or float32' : 'float32';
  throw new ModelError(
    'MODEL_DTYPE_RANGE',
    `expected the numbers of ${name} to fit into ${dtype}, got one of magnitude ${largest}: choose ${others}.`,
  );
}
