/** A model as the folder of files that others load: in the precision and the shards of the checkpoint that it began as. */
import { createReadStream } from 'node:fs';
import { join } from 'node:path';
import type { FileContents } from '@rlhf-streams/files';
import { ADAPTER_CONFIG, ADAPTER_WEIGHTS } from '../adapters/files.js';
import { changeOf } from '../adapters/merge.js';
import { describeModel, type ModelFolders, readAdapter } from '../adapters/read.js';
import { architectureOf } from '../architectures/index.js';
import { configText } from '../checkpoint/config-file.js';
import { decodedChunks, decodedTensor, type StoredTensor } from '../checkpoint/decode.js';
import { exportedCheckpoint } from '../checkpoint/exported.js';
import { checkpointFiles } from '../checkpoint/files.js';
import { weightFiles as storedFiles } from '../checkpoint/stored.js';
import { checkCopies, storedWeights } from '../checkpoint/tensors.js';
import type { ModelConfig, StoredAs } from '../model-config.js';
import type { WeightTensor } from '../weights.js';
import { type TensorSource, weightFiles } from './weights.js';

/**
 * The files by their names; an adapter is added to its base. Their contents are read from the folders while they are
 * written, so that no more than a tensor of the model is in memory.
 * @param options each default: as the checkpoint was stored that the model began as
 * @throws as `describeModel`; MODEL_DTYPE_RANGE while they are written
 */
export async function exportedFiles(
  folders: ModelFolders,
  options: Partial<StoredAs> = {},
): Promise<{ config: ModelConfig; files: Map<string, FileContents> }> {
  const { config: described, base, tokenizer } = await describeModel(folders);
  const { storedAs, adapter, ...whole } = described;
  const as: StoredAs = { dtype: 'float32', ...storedAs, ...options };
  const config = adapter
    ? exportedCheckpoint({ config: whole, tokenizer, extraFiles: new Map() }).config
    : whole;
  const weights = await storedWeights(folders.base, base);
  await checkCopies(weights);
  const own = folders.adapter === undefined ? new Map() : (await readAdapter(folders.adapter, base)).tensors;
  const { tensors, storedName } = architectureOf(config);
  const sources = [...tensors(config)].map(([name, { shape }]): [string, TensorSource] => [
    storedName(name),
    { shape, chunks: () => numbersOf(weights.tensors.get(name), changeOf(described, own, name)) },
  ]);
  const files = new Map<string, FileContents>();
  for (const folder of [folders.base, ...(folders.adapter === undefined ? [] : [folders.adapter])]) {
    const others = [...(await storedFiles(folder)), 'config.json', ADAPTER_CONFIG, ADAPTER_WEIGHTS];
    for (const name of await checkpointFiles(folder))
      if (!others.includes(name)) files.set(name, fileContents(join(folder, name)));
  }
  files.set('config.json', configText(config, as.dtype));
  for (const [name, contents] of weightFiles(new Map(sources), as)) files.set(name, contents);
  return { config, files };
}

async function* numbersOf(
  stored: StoredTensor | undefined,
  change: ((base: WeightTensor | undefined) => WeightTensor) | undefined,
): AsyncGenerator<Float32Array> {
  if (change) yield change(stored && (await decodedTensor(stored))).data;
  else yield* decodedChunks(stored!);
}

/** Opened when its turn comes to be written. */
export async function* fileContents(path: string): AsyncGenerator<Uint8Array> {
  yield* createReadStream(path);
}
