/** A model as a folder in the Hugging Face layout: `config.json`, `model.safetensors`, the tokenizer's files. */
import { basename, join } from 'node:path';
import { type FileContents, writeFolderAtomically } from '@rlhf-streams/files';
import { ModelError } from '../errors.js';
import { MAX_CONFIG_BYTES, readTokenizerFiles, type TokenizerFiles } from '../tokenizer/files.js';
import { OWN_FILES } from './files.js';
import { canonicalName, gpt2TensorShapes, isMaskBuffer, transformersName } from './gpt2-tensors.js';
import { type ModelConfig, parseHuggingFaceConfig, toHuggingFace } from './hf-config.js';
import { exists, readJson } from './json-file.js';
import {
  readSafetensors,
  readSafetensorsHeader,
  type SafetensorsTensor,
  safetensorsPieces,
} from './safetensors.js';

export interface WeightTensor {
  shape: number[];
  /** Row-major. */
  data: Float32Array;
}

export interface Checkpoint {
  config: ModelConfig;
  /** In the names and the order of {@link gpt2TensorShapes}. */
  tensors: Map<string, WeightTensor>;
  tokenizer?: TokenizerFiles;
}

/** As stored: half precision is widened when it is read. */
const WEIGHT_TYPES = ['F32', 'F16', 'BF16', 'F64'];

/**
 * Reads a checkpoint as transformers or {@link writeCheckpoint} left it; a copy of the token embedding stored as a
 * tied `lm_head.weight` is dropped.
 * @param options.admit may refuse, by throwing, before the weights are read
 * @throws as {@link describeCheckpoint}; MODEL_CHECKPOINT_TENSORS, MODEL_SAFETENSORS_*
 */
export async function readCheckpoint(
  dir: string,
  options: { readonly admit?: (config: ModelConfig) => void } = {},
): Promise<Checkpoint> {
  const { config, tokenizer } = await describeCheckpoint(dir);
  options.admit?.(config);
  const weightsPath = join(dir, 'model.safetensors');
  const shapes = gpt2TensorShapes(config);
  const read = new Map<string, SafetensorsTensor>();
  for (const [name, tensor] of (await readSafetensors(weightsPath)).tensors)
    read.set(canonicalName(name), tensor);
  checkTiedHead(config, read, weightsPath);
  const tensors = new Map<string, WeightTensor>();
  for (const name of shapes.keys()) tensors.set(name, toFloat32(name, read.get(name)!, weightsPath));
  return { config, tensors, ...(tokenizer && { tokenizer }) };
}

/**
 * Opens a checkpoint as far as its weights: its shape, which the tensors' names, shapes and types are checked against,
 * and its tokenizer.
 * @throws MODEL_CHECKPOINT_MISSING, MODEL_CHECKPOINT_TENSORS, MODEL_CONFIG_*, MODEL_SAFETENSORS_*,
 *   MODEL_TOKENIZER_INVALID
 */
export async function describeCheckpoint(dir: string): Promise<Omit<Checkpoint, 'tensors'>> {
  const configPath = join(dir, 'config.json');
  const configJson = await readJson(configPath, MAX_CONFIG_BYTES, 'MODEL_CONFIG_INVALID');
  if (configJson === undefined) throw await missing(dir, 'config.json');
  const config = parseHuggingFaceConfig(configJson, configPath);

  const weightsPath = join(dir, 'model.safetensors');
  if (!(await exists(weightsPath))) throw await missing(dir, 'model.safetensors');
  const { entries } = await readSafetensorsHeader(weightsPath);
  checkTensors(optionalHead(config, gpt2TensorShapes(config), entries), entries, weightsPath);
  for (const [name, { dtype }] of entries) {
    if (!isMaskBuffer(canonicalName(name)) && !WEIGHT_TYPES.includes(dtype))
      throw wrongType(canonicalName(name), dtype, weightsPath);
  }
  const tokenizer = await readTokenizerFiles(dir);
  return { config, ...(tokenizer && { tokenizer }) };
}

export interface CheckpointToWrite {
  config: ModelConfig;
  /** In the names of {@link gpt2TensorShapes}. */
  tensors: ReadonlyMap<string, { shape: readonly number[]; data: Float32Array }>;
  tokenizer?: TokenizerFiles | undefined;
  /** Further files of the folder: plain name -> contents. */
  extraFiles?: ReadonlyMap<string, string | Uint8Array>;
}

/**
 * Writes a folder that transformers' `from_pretrained` loads, and that is there whole or not at all.
 * The same checkpoint gives the same bytes.
 * @throws MODEL_CHECKPOINT_EXISTS where `dir` is already there with something in it, MODEL_CHECKPOINT_TENSORS,
 *   MODEL_CHECKPOINT_FILE
 */
export async function writeCheckpoint(dir: string, checkpoint: CheckpointToWrite): Promise<void> {
  const { config, tensors, tokenizer } = checkpoint;
  checkTensors(gpt2TensorShapes(config), tensors, `checkpoint for ${dir}`);
  const renamed = new Map(
    [...tensors].map(([name, tensor]) => [transformersName(canonicalName(name)), tensor]),
  );
  const files = new Map<string, FileContents>([
    // transformers refuses a file without this piece of metadata.
    ['model.safetensors', safetensorsPieces(renamed, { format: 'pt' })],
    ['config.json', jsonText(sortedKeys(toHuggingFace(config)))],
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

/** The expected shapes, with those of a head that the file may hold although the config ties it. */
function optionalHead(
  config: ModelConfig,
  shapes: ReadonlyMap<string, number[]>,
  entries: ReadonlyMap<string, unknown>,
): ReadonlyMap<string, number[]> {
  const stored = config.tieWordEmbeddings && config.numLabels === undefined && entries.has('lm_head.weight');
  return stored ? new Map([...shapes, ['lm_head.weight', [config.vocabSize, config.width]]]) : shapes;
}

function checkTensors(
  expected: ReadonlyMap<string, readonly number[]>,
  found: ReadonlyMap<string, { shape: readonly number[] }>,
  source: string,
): void {
  const problems: string[] = [];
  const seen = new Set<string>();
  for (const [stored, { shape }] of found) {
    const name = canonicalName(stored);
    const wanted = expected.get(name);
    if (seen.has(name)) problems.push(`${name} twice, with and without its prefix`);
    else if (wanted === undefined && !isMaskBuffer(name)) problems.push(`unexpected ${name} [${shape}]`);
    else if (wanted !== undefined && !sameShape(wanted, shape)) {
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

function checkTiedHead(
  config: ModelConfig,
  tensors: ReadonlyMap<string, SafetensorsTensor>,
  source: string,
): void {
  const head = tensors.get('lm_head.weight');
  if (head === undefined || !config.tieWordEmbeddings) return;
  const embedding = toFloat32('wte.weight', tensors.get('wte.weight')!, source).data;
  const tied = toFloat32('lm_head.weight', head, source).data;
  if (embedding.some((value, i) => value !== tied[i])) {
    throw new ModelError(
      'MODEL_CHECKPOINT_TENSORS',
      `${source}: lm_head.weight differs from wte.weight, although config.json says tie_word_embeddings; set it to false, or remove lm_head.weight.`,
    );
  }
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

function jsonText(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}
