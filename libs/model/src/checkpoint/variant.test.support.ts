/** The golden GPT-2 as people store models: in other types, in shards, with other tensors. */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Halves, toHalves } from './encode.js';
import { readSafetensors, type TensorData, writeSafetensors } from './safetensors.js';

export const fixture = (path: string) => fileURLToPath(new URL(`../../fixtures/${path}`, import.meta.url));

export interface Variant {
  readonly model?: 'gpt2' | 'gpt2-seqcls';
  readonly dtype?: Halves['dtype'] | 'F64';
  /** Files that the tensors are dealt out to. */
  readonly shards?: number;
  readonly change?: (tensors: Map<string, TensorData>) => void;
  /** Fields of config.json in place of its own. */
  readonly config?: object;
}

/** Makes a folder of it. */
export async function writeVariant(
  dir: string,
  { model = 'gpt2', dtype, shards, change, config }: Variant,
): Promise<void> {
  await mkdir(dir);
  const json = JSON.parse(await readFile(fixture(`models/${model}/config.json`), 'utf8'));
  await writeFile(join(dir, 'config.json'), JSON.stringify({ ...json, ...config }));
  const { tensors } = await readSafetensors(fixture(`models/${model}/model.safetensors`));
  const stored = new Map<string, TensorData>(
    [...tensors].map(([name, { shape, data }]) => [name, as(dtype, shape, data as Float32Array)]),
  );
  change?.(stored);
  if (shards === undefined) return writeSafetensors(join(dir, 'model.safetensors'), stored);
  const weightMap: Record<string, string> = {};
  for (let shard = 0; shard < shards; shard++) {
    const file = `model-${shardNumber(shard + 1)}-of-${shardNumber(shards)}.safetensors`;
    const part = [...stored].filter((_, i) => i % shards === shard);
    for (const [name] of part) weightMap[name] = file;
    await writeSafetensors(join(dir, file), new Map(part), { format: 'pt' });
  }
  await writeFile(join(dir, 'model.safetensors.index.json'), JSON.stringify({ weight_map: weightMap }));
}

const shardNumber = (n: number) => String(n).padStart(5, '0');

function as(dtype: Variant['dtype'], shape: readonly number[], data: Float32Array): TensorData {
  if (dtype === undefined) return { shape, data };
  if (dtype === 'F64') return { shape, data: Float64Array.from(data) };
  return { shape, dtype, data: toHalves(data, dtype)! };
}
