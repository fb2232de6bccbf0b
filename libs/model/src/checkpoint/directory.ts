/** A model as a folder of Hugging Face's format: `config.json`, `model.safetensors`, the tokenizer's files. */
import { basename, join } from 'node:path';
import { type FileContents, writeFolderAtomically } from '@rlhf-streams/files';
import { architectureOf, parseModelConfig } from '../architectures/index.js';
import { ModelError } from '../errors.js';
import type { ModelConfig } from '../model-config.js';
import { MAX_CONFIG_BYTES, readTokenizerFiles, type TokenizerFiles } from '../tokenizer/files.js';
import type { WeightTensor } from '../weights.js';
import { configText, readStoredAs } from './config-file.js';
import { decodedTensor } from './decode.js';
import { OWN_FILES } from './files.js';
import { jsonText, readJson } from './json-file.js';
import { missingFile } from './missing.js';
import { safetensorsPieces } from './safetensors.js';
import { checkCopies, checkTensors, refuseQuantised, shapesOf, storedWeights } from './tensors.js';

export interface Checkpoint {
  config: ModelConfig;
  /** In the names and the order of the architecture's `tensors`. */
  tensors: Map<string, WeightTensor>;
  tokenizer?: TokenizerFiles;
}

/**
 * Reads a checkpoint as transformers or {@link writeCheckpoint} left it. A tensor that is only another one over again, as
 * a tied output matrix is, is dropped.
 * @param options.admit may refuse, by throwing, before the weights are read
 * @throws as {@link describeCheckpoint}; MODEL_CHECKPOINT_TENSORS, MODEL_SAFETENSORS_*
 */
export async function readCheckpoint(
  dir: string,
  options: { readonly admit?: (config: ModelConfig) => void } = {},
): Promise<Checkpoint> {
  const { config, tokenizer } = await describeCheckpoint(dir);
  options.admit?.(config);
  const tensors = await readWeights(dir, config);
  return { config, tensors, ...(tokenizer && { tokenizer }) };
}

/** The weights of a checkpoint that was described, read a tensor at a time. @throws as {@link describeCheckpoint} */
export async function readWeights(dir: string, config: ModelConfig): Promise<Map<string, WeightTensor>> {
  const weights = await storedWeights(dir, config);
  await checkCopies(weights);
  const read = new Map<string, WeightTensor>();
  for (const [name, tensor] of weights.tensors) read.set(name, await decodedTensor(tensor));
  return read;
}

/**
 * Reads the config and the tokenizer of a checkpoint, and checks the names, shapes and dtypes of its tensors. The
 * weights stay on disk.
 * @throws MODEL_CHECKPOINT_*, MODEL_ADAPTER, MODEL_FILE_POINTER, MODEL_CONFIG_*, MODEL_SAFETENSORS_*,
 *   MODEL_TOKENIZER_INVALID
 */
export async function describeCheckpoint(dir: string): Promise<Omit<Checkpoint, 'tensors'>> {
  const configPath = join(dir, 'config.json');
  const configJson = await readJson(configPath, MAX_CONFIG_BYTES, 'MODEL_CONFIG_INVALID');
  if (configJson === undefined) throw await missingFile(dir, 'config.json');
  refuseQuantised(configJson, configPath);
  const parsed = parseModelConfig(configJson, configPath);
  const weights = await storedWeights(dir, parsed);
  const storedAs = readStoredAs(configJson, weights, architectureOf(parsed), configPath);
  const config = { ...parsed, ...(storedAs && { storedAs }) };
  const tokenizer = await readTokenizerFiles(dir);
  return { config, ...(tokenizer && { tokenizer }) };
}

export interface CheckpointToWrite {
  config: ModelConfig;
  /** The weights, under the names of the architecture's `tensors`. */
  tensors: ReadonlyMap<string, WeightTensor>;
  tokenizer?: TokenizerFiles | undefined;
  /** Contents of further files of the folder, by their names. */
  extraFiles?: ReadonlyMap<string, string | Uint8Array>;
}

/**
 * Writes a folder that transformers' `from_pretrained` loads. It appears whole or not at all, and the same checkpoint
 * gives the same bytes.
 * @throws MODEL_CHECKPOINT_EXISTS where `dir` is already there with something in it, MODEL_CHECKPOINT_TENSORS,
 *   MODEL_CHECKPOINT_FILE
 */
export async function writeCheckpoint(dir: string, checkpoint: CheckpointToWrite): Promise<void> {
  const { config, tensors, tokenizer } = checkpoint;
  const { storedName } = architectureOf(config);
  checkTensors(shapesOf(config), [...tensors], `checkpoint for ${dir}`);
  const renamed = new Map([...tensors].map(([name, tensor]) => [storedName(name), tensor]));
  const files = new Map<string, FileContents>([
    // transformers refuses a file without this piece of metadata.
    ['model.safetensors', safetensorsPieces(renamed, { format: 'pt' })],
    ['config.json', configText(config)],
  ]);
  if (tokenizer) files.set('tokenizer.json', jsonText(tokenizer.json));
  if (tokenizer?.config !== undefined) files.set('tokenizer_config.json', jsonText(tokenizer.config));
  for (const [name, contents] of checkpoint.extraFiles ?? []) {
    if (basename(name) !== name || /^\.*$/.test(name) || OWN_FILES.includes(name)) {
      throw new ModelError(
        'MODEL_CHECKPOINT_FILE',
        `An extra file needs a plain name other than ${OWN_FILES.join(', ')}, got ${JSON.stringify(name)}.`,
      );
    }
    files.set(name, typeof contents === 'string' ? contents : [contents]);
  }
  try {
    await writeFolderAtomically(dir, files);
  } catch (cause) {
    if (!['ENOTEMPTY', 'EEXIST', 'ENOTDIR'].includes(errorCode(cause) ?? '')) throw cause;
    throw new ModelError(
      'MODEL_CHECKPOINT_EXISTS',
      `${dir} is already there; a checkpoint is never written over: choose another folder or remove this one.`,
      { cause },
    );
  }
}

function errorCode(error: unknown): string | undefined {
  return (error as NodeJS.ErrnoException).code;
}
