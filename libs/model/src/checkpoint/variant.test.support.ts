/** The golden GPT-2 as people store models: in other types, in shards, with other tensors. */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { architectureOf } from '../architectures/index.js';
import { describeCheckpoint } from './directory.js';
import { type Halves, toHalves } from './encode.js';
import { readSafetensors, type TensorData, writeSafetensors } from './safetensors.js';

export const fixture = (path: string) => fileURLToPath(new URL(`../../fixtures/${path}`, import.meta.url));

export interface Variant {
  readonly model?: 'gpt2' | 'gpt2-seqcls';
  readonly dtype?: Halves['dtype'] | 'F64';
  /** Files that the tensors are dealt out to, one after another. */
  readonly shards?: number;
  /** Bytes of a shard, to which the tensors go in the order of the model, as transformers deals them out. */
  readonly maxShardBytes?: number;
  readonly change?: (tensors: Map<string, TensorData>) => void;
  /** Fields of config.json in place of its own. */
  readonly config?: object;
}

/** Makes a folder of it. */
export async function writeVariant(
  dir: string,
  { model = 'gpt2', dtype, shards, maxShardBytes, change, config }: Variant,
): Promise<void> {
  await mkdir(dir);
  const json = JSON.parse(await readFile(fixture(`models/${model}/config.json`), 'utf8'));
  await writeFile(join(dir, 'config.json'), JSON.stringify({ ...json, ...config }));
  const { tensors } = await readSafetensors(fixture(`models/${model}/model.safetensors`));
  const stored = new Map<string, TensorData>(
    [...tensors].map(([name, { shape, data }]) => [name, as(dtype, shape, data as Float32Array)]),
  );
  change?.(stored);
  const parts =
    shards !== undefined
      ? Array.from({ length: shards }, (_, shard) => [...stored].filter((_, i) => i % shards === shard))
      : maxShardBytes === undefined
        ? [[...stored]]
        : await partsUpTo(maxShardBytes, model, stored);
  if (parts.length === 1) return writeSafetensors(join(dir, 'model.safetensors'), stored, FORMAT);
  const weightMap: Record<string, string> = {};
  for (const [i, part] of parts.entries()) {
    const file = `model-${shardNumber(i + 1)}-of-${shardNumber(parts.length)}.safetensors`;
    for (const [name] of part) weightMap[name] = file;
    await writeSafetensors(join(dir, file), new Map(part), FORMAT);
  }
  await writeFile(join(dir, 'model.safetensors.index.json'), JSON.stringify({ weight_map: weightMap }));
}

const FORMAT = { format: 'pt' };

async function partsUpTo(bytes: number, model: string, stored: ReadonlyMap<string, TensorData>) {
  const { config } = await describeCheckpoint(fixture(`models/${model}`));
  const { tensors, storedName } = architectureOf(config);
  const parts: (readonly [string, TensorData])[][] = [[]];
  let left = bytes;
  for (const name of tensors(config).keys()) {
    const tensor = stored.get(storedName(name))!;
    if (tensor.data.byteLength > left && parts.at(-1)!.length > 0) {
      parts.push([]);
      left = bytes;
    }
    parts.at(-1)!.push([storedName(name), tensor]);
    left -= tensor.data.byteLength;
  }
  return parts;
}

const shardNumber = (n: number) => String(n).padStart(5, '0');

function as(dtype: Variant['dtype'], shape: readonly number[], data: Float32Array): TensorData {
  if (dtype === undefined) return { shape, data };
  if (dtype === 'F64') return { shape, data: Float64Array.from(data) };
  return { shape, dtype, data: toHalves(data, dtype)! };
}
