/** A model as a folder of Hugging Face's format: `config.json`, `model.safetensors`, the tokenizer's files. */
import { basename, join } from 'node:path';
import { type FileContents, writeFolderAtomically } from '@rlhf-streams/files';
import type { Frozen } from '@rlhf-streams/tensor';
import { architectureOf, parseModelConfig } from '../architectures/index.js';
import { ModelError } from '../errors.js';
import type { ModelConfig } from '../model-config.js';
import { MAX_CONFIG_BYTES, readTokenizerFiles, type TokenizerFiles } from '../tokenizer/files.js';
import type { WeightTensor } from '../weights.js';
import { OWN_FILES } from './files.js';
import { exists, jsonText, readJson } from './json-file.js';
import {
  readSafetensors,
  readSafetensorsHeader,
  type SafetensorsTensor,
  safetensorsPieces,
} from './safetensors.js';

export interface Checkpoint {
  config: ModelConfig;
  /** In the names and the order of the architecture's `tensors`. */
  tensors: Map<string, WeightTensor>;
  tokenizer?: TokenizerFiles;
}

/** Dtypes that weights may be stored in; they are converted to float32 when they are read. */
const WEIGHT_TYPES = ['F32', 'F16', 'BF16', 'F64'];

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

/** The weights of a checkpoint that was described. @throws MODEL_CHECKPOINT_TENSORS, MODEL_SAFETENSORS_* */
export async function readWeights(dir: string, config: ModelConfig): Promise<Map<string, WeightTensor>> {
  const weightsPath = join(dir, 'model.safetensors');
  const stored = new Map(byOwnNames(config, (await readSafetensors(weightsPath)).tensors));
  const read = (name: string) => toFloat32(name, stored.get(name)!, weightsPath);
  const architecture = architectureOf(config);
  for (const [copy, original] of architecture.copies(config))
    if (stored.has(copy)) checkCopy([copy, read(copy)], [original, read(original)], weightsPath);
  return new Map([...architecture.tensors(config).keys()].map((name) => [name, read(name)]));
}

/**
 * The weights of a checkpoint that was described, which nobody changes: where they lie in its file, when that is how
 * programs take them, else as they are read.
 * @param hash names the weights
 * @throws MODEL_CHECKPOINT_TENSORS, MODEL_SAFETENSORS_*
 */
export async function frozenWeights(dir: string, config: ModelConfig, hash: string): Promise<Frozen> {
  const file = join(dir, 'model.safetensors');
  const { entries, dataStart } = await readSafetensorsHeader(file);
  const stored = new Map(byOwnNames(config, entries));
  const { copies, tensors } = architectureOf(config);
  const offsets = [...tensors(config).keys()].map(
    (name) => [name, dataStart + stored.get(name)!.begin] as const,
  );
  // A file that stores a tensor under two names is read, which compares the two.
  const isOnce = ![...copies(config).keys()].some((copy) => stored.has(copy));
  const isPlain = offsets.every(([name, offset]) => stored.get(name)!.dtype === 'F32' && offset % 4 === 0);
  if (isOnce && isPlain) return { hash, stored: { file, offsets: Object.fromEntries(offsets) } };
  const values = [...(await readWeights(dir, config))].map(([name, { data }]) => [name, data] as const);
  return { hash, values: Object.fromEntries(values) };
}

/**
 * Reads the config and the tokenizer of a checkpoint, and checks the names, shapes and dtypes of its tensors. The
 * weights stay on disk.
 * @throws MODEL_CHECKPOINT_MISSING, MODEL_CHECKPOINT_TENSORS, MODEL_CONFIG_*, MODEL_SAFETENSORS_*,
 *   MODEL_TOKENIZER_INVALID
 */
export async function describeCheckpoint(dir: string): Promise<Omit<Checkpoint, 'tensors'>> {
  const configPath = join(dir, 'config.json');
  const configJson = await readJson(configPath, MAX_CONFIG_BYTES, 'MODEL_CONFIG_INVALID');
  if (configJson === undefined) throw await missing(dir, 'config.json');
  const config = parseModelConfig(configJson, configPath);

  const weightsPath = join(dir, 'model.safetensors');
  if (!(await exists(weightsPath))) throw await missing(dir, 'model.safetensors');
  const { entries } = await readSafetensorsHeader(weightsPath);
  const stored = byOwnNames(config, entries);
  checkTensors(withStoredCopies(config, stored), stored, weightsPath);
  for (const [name, { dtype }] of stored)
    if (!WEIGHT_TYPES.includes(dtype)) throw wrongType(name, dtype, weightsPath);
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
  const { storedName, configJson } = architectureOf(config);
  checkTensors(shapesOf(config), [...tensors], `checkpoint for ${dir}`);
  const renamed = new Map([...tensors].map(([name, tensor]) => [storedName(name), tensor]));
  const files = new Map<string, FileContents>([
    // transformers refuses a file without this piece of metadata.
    ['model.safetensors', safetensorsPieces(renamed, { format: 'pt' })],
    ['config.json', jsonText(sortedKeys(configJson(config)))],
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

type Shapes = ReadonlyMap<string, readonly number[]>;

const shapesOf = (config: ModelConfig): Shapes =>
  new Map([...architectureOf(config).tensors(config)].map(([name, { shape }]) => [name, shape]));

/** The expected shapes, with those of the copies among what the file stores. */
function withStoredCopies(config: ModelConfig, stored: readonly (readonly [string, unknown])[]): Shapes {
  const shapes = shapesOf(config);
  const copies = [...architectureOf(config).copies(config)].filter(([copy]) =>
    stored.some(([name]) => name === copy),
  );
  return new Map([...shapes, ...copies.map(([copy, original]) => [copy, shapes.get(original)!] as const)]);
}

/** What a file stores, under the architecture's own names, without tensors that were not learned. */
function byOwnNames<T>(config: ModelConfig, stored: ReadonlyMap<string, T>): [string, T][] {
  const { nameOf } = architectureOf(config);
  return [...stored].flatMap(([storedName, value]): [string, T][] => {
    const name = nameOf(storedName);
    return name === undefined ? [] : [[name, value]];
  });
}

function checkTensors(
  expected: Shapes,
  found: readonly (readonly [string, { readonly shape: readonly number[] }])[],
  source: string,
): void {
  const problems: string[] = [];
  const seen = new Set<string>();
  for (const [name, { shape }] of found) {
    const wanted = expected.get(name);
    if (seen.has(name)) problems.push(`${name} twice, with and without its prefix`);
    else if (wanted === undefined) problems.push(`unexpected ${name} [${shape}]`);
    else if (!sameShape(wanted, shape)) {
      problems.push(`${name} has shape [${shape}], expected [${wanted}]`);
    }
    seen.add(name);
  }
  for (const [name, shape] of expected) if (!seen.has(name)) problems.push(`missing ${name} [${shape}]`);
  if (problems.length === 0) return;
  const shown = problems.slice(0, 20);
  if (problems.length > shown.length) shown.push(`and ${problems.length - shown.length} more`);
  throw new ModelError(
    'MODEL_CHECKPOINT_TENSORS',
    `${source}: the tensors are not those of the model that config.json describes: ${shown.join('; ')}.`,
  );
}

function sameShape(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((size, i) => size === b[i]);
}

/** @throws MODEL_CHECKPOINT_TENSORS where a file's copy of a tensor is another tensor. */
function checkCopy(
  [copy, { data: copied }]: readonly [string, WeightTensor],
  [original, { data }]: readonly [string, WeightTensor],
  source: string,
): void {
  if (data.every((value, i) => value === copied[i])) return;
  throw new ModelError(
    'MODEL_CHECKPOINT_TENSORS',
    `${source}: ${copy} differs from ${original}, although config.json says tie_word_embeddings; set it to false, or remove ${copy}.`,
  );
}

function toFloat32(name: string, { shape, dtype, data }: SafetensorsTensor, source: string): WeightTensor {
  if (dtype === 'F32') return { shape, data };
  if (dtype === 'F64') return { shape, data: Float32Array.from(data) };
  throw wrongType(name, dtype, source);
}

const wrongType = (name: string, dtype: string, source: string): ModelError =>
  new ModelError(
    'MODEL_CHECKPOINT_TENSORS',
    `${source}: ${name} has dtype ${dtype}, expected F32, F16, BF16 or F64.`,
  );

async function missing(dir: string, name: string): Promise<ModelError> {
  const others = ['model.safetensors.index.json', 'pytorch_model.bin'];
  const found = await Promise.all(others.map((other) => exists(join(dir, other))));
  const other = others.find((_, i) => found[i]);
  const advice = other
    ? `; there is a ${other}: save the model again with save_pretrained(safe_serialization=True, max_shard_size="100GB")`
    : '';
  return new ModelError('MODEL_CHECKPOINT_MISSING', `${dir} has no ${name}${advice}.`);
}

function errorCode(error: unknown): string | undefined {
  return (error as NodeJS.ErrnoException).code;
}

function sortedKeys(fields: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).sort(([a], [b]) => (a < b ? -1 : 1)));
}
