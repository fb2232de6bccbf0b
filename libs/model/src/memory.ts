/**
 * Estimates of the memory that a model needs, from its config alone. They hold for float32 computed by programs of ONNX
 * Runtime; measured peaks lie within a factor of two.
 */
import { sizeOf } from '@rlhf-streams/tensor';
import { adapterTensors } from './adapters/tensors.js';
import { architectureOf } from './architectures/index.js';
import { ModelError } from './errors.js';
import { cacheCapacity } from './generation/request.js';
import { MOST_LOGITS } from './head-logprobs.js';
import type { ModelConfig } from './model-config.js';
import { parameterCount } from './weights.js';

const FLOAT_BYTES = 4;
/** Tokens of prompts that are read at a time by a model that is laid out. */
const PREFILLED = 128;
/** Compiled programs and the thread they run on. */
const THREAD_BYTES = 30e6;

/** Bytes of the weights in float32. */
export const weightBytes = (config: ModelConfig): number => FLOAT_BYTES * parameterCount(config);

/** Numbers of rows of programs that score sequences of T tokens: more tokens at a time take memory and save no time (measured). */
export const scoringRows = (T: number): readonly number[] =>
  T > 512 ? [1] : T > 256 ? [2] : T > 128 ? [2, 4] : [2, 4, 8];

export interface ScoringLoad {
  /** Tokens of a sequence. */
  readonly length: number;
  /** Compute threads. Default 1. */
  readonly threads?: number;
}

/**
 * Bytes to score sequences of up to `length` tokens, with a reference or a reward model. Its weights are used where they
 * were read, or lie in the checkpoint's file, by all threads.
 */
export function scoringBytes(config: ModelConfig, { length, threads = 1 }: ScoringLoad): number {
  const { working } = architectureOf(config).activations(config, length);
  const tokens = Math.max(...scoringRows(length)) * length;
  const computed = (tokens * working + headNumbers(config, tokens)) * FLOAT_BYTES;
  return weightBytes(config) + threads * (computed + THREAD_BYTES);
}

/** Bytes of the weights in float32 that are not an adapter's: they lie in a file, which all map that use them. */
export const baseBytes = (config: ModelConfig): number =>
  weightBytes(config) - (config.adapter ? trainedBytes(config) : 0);

export interface GenerationLoad {
  /** Compute threads, each of which holds the weights and slots of its own. */
  readonly threads: number;
  /** Sequences generated side by side in each thread. */
  readonly slots: number;
  /** Tokens of a sequence, prompt and completion. */
  readonly length: number;
  /** Versions of the weights in memory at a time: two where a version is loaded while another is in use. */
  readonly versions: number;
  /** Whether the weights lie in a file that all threads map, as those do under adapters. Default: where there is one. */
  readonly frozen?: boolean | undefined;
}

/** Models with fewer bytes of weights are generated from as they are: a copy for each session costs little. */
const LEAST_LAID_OUT = 2 ** 27;
/** Whether generation by these weights, where they stand still, lays them out in a file. */
export const isLarge = (config: ModelConfig): boolean => weightBytes(config) >= LEAST_LAID_OUT;

const cacheBytes = (config: ModelConfig, slots: number, capacity: number): number =>
  2 * config.layers * FLOAT_BYTES * sizeOf(architectureOf(config).cacheShape(config, slots, capacity));

/** Bytes of the cache of sequences that are generated side by side: of long ones there are fewer. */
const MOST_CACHE_BYTES = 2 ** 28;
/** Slots for sequences of these capacities: as many as asked for, where their cache is not too large, and two at least. */
export const slotsWithin = (config: ModelConfig, slots: number, capacity: number): number =>
  Math.max(2, Math.min(slots, Math.floor(MOST_CACHE_BYTES / cacheBytes(config, 1, capacity))));

/** The same on a device, which has memory of its own, and needs many sequences side by side to be used. */
const MOST_DEVICE_CACHE_BYTES = 2 ** 33;
export const slotsOnDevice = (config: ModelConfig, slots: number, capacity: number): number =>
  Math.max(2, Math.min(slots, Math.floor(MOST_DEVICE_CACHE_BYTES / cacheBytes(config, 1, capacity))));

/**
 * Bytes to generate completions. Beside the versions as they were read, each thread has the weights as state of its
 * workspace, laid out for products in the program of the decode step, and once more while that is opened. Weights that
 * nobody changes are there once, those of a large model in a file that all threads map.
 */
export function generationBytes(
  config: ModelConfig,
  { threads, slots, length, versions, frozen = config.adapter !== undefined }: GenerationLoad,
): number {
  const capacity = cacheCapacity(config, length);
  const cache = cacheBytes(config, slotsWithin(config, slots, capacity), capacity);
  if (!frozen)
    return threads * (scoringBytes(config, { length }) + (versions + 2) * weightBytes(config) + cache);
  const base = baseBytes(config);
  const adapters = (versions + 1) * (weightBytes(config) - base);
  if (!isLarge(config)) return base + threads * (scoringBytes(config, { length }) + adapters + cache);
  const { working } = architectureOf(config).activations(config, capacity);
  const computed = (PREFILLED * working + 4 * slots * outputs(config)) * FLOAT_BYTES;
  return 1.25 * base + threads * (computed + adapters + cache + THREAD_BYTES);
}

export interface TrainingLoad {
  /** Micro-batches computed at a time. */
  readonly workers: number;
  /** Sequences of a micro-batch. */
  readonly rows: number;
  /** Tokens of a sequence. */
  readonly length: number;
  /** Whether layers are computed again for the gradient, one at a time. Default: no. */
  readonly recomputes?: boolean;
}

export interface TrainedShape {
  readonly model: ModelConfig;
  /** Whether it is a head on the trunk of another one. Default: no. */
  readonly onTrunk?: boolean;
  /** Names the base of its adapter, where it has one; models on one base share it. Default: one for all. */
  readonly base?: string;
  /** Whether it is moved by a line search along a direction of conjugate gradient, as by TRPO. Default: by AdamW. */
  readonly byLineSearch?: boolean;
}

/**
 * Bytes to train these models together. Bases of adapters lie in memory once, as they lie in their files. The trainer holds
 * two copies of every trained parameter and of its two moments, the values that all three started from, and a gradient;
 * each worker holds a gradient, copies of the parameters on their way to a worker and back, and the activations. For a line
 * search a snapshot and a direction take the place of the moments; beside them are the vectors of conjugate gradient, and in
 * each worker the direction and the activations of a Fisher-vector product: it keeps those of a gradient, and as many again
 * twice for the derivative of that (measured).
 */
export function trainingBytes(
  trained: readonly TrainedShape[],
  { workers, rows, length, recomputes = false }: TrainingLoad,
): number {
  const sumOf = (bytes: (shape: TrainedShape) => number) =>
    trained.reduce((sum, shape) => sum + bytes(shape), 0);
  const weights = sumOf(({ model, onTrunk }) => (onTrunk ? headBytes(model) : trainedBytes(model)));
  const searched = sumOf(({ model, byLineSearch }) => (byLineSearch ? trainedBytes(model) : 0));
  const bases = new Map<string | undefined, number>();
  for (const { model, base } of trained)
    bases.set(base, Math.max(bases.get(base) ?? 0, weightBytes(model) - trainedBytes(model)));
  const frozen = [...bases.values()].reduce((sum, bytes) => sum + bytes, 0);
  const activations = sumOf(({ model, onTrunk, byLineSearch }) => {
    const { kept } = architectureOf(model).activations(model, length);
    const tokens = rows * length;
    const ofLayers = recomputes ? model.layers * model.width + kept : model.layers * kept;
    const ofHead = byLineSearch ? 5 * tokens * outputs(model) : 5 * headNumbers(model, tokens);
    const times = byLineSearch ? 3 : 1;
    return times * ((onTrunk ? 0 : tokens * ofLayers) + ofHead) * FLOAT_BYTES;
  });
  return (
    frozen + 13 * weights + 6 * searched + workers * (4 * weights + searched + activations + THREAD_BYTES)
  );
}

/** Bytes of what is trained of a model: its weights, or its adapter. */
const trainedBytes = (model: ModelConfig): number =>
  model.adapter
    ? FLOAT_BYTES * [...adapterTensors(model).values()].reduce((sum, { shape }) => sum + sizeOf(shape), 0)
    : weightBytes(model);

const headBytes = (config: ModelConfig): number =>
  [
    ...architectureOf(config)
      .tensors({ ...config, layers: 0 })
      .values(),
  ].reduce((sum, { shape, ofHead }) => sum + (ofHead ? FLOAT_BYTES * sizeOf(shape) : 0), 0);

const outputs = ({ head, vocabSize }: ModelConfig): number =>
  head.kind === 'scalar' ? head.labels : vocabSize;

/** Numbers that a head gives at once, of so many tokens: log-probs are taken of logits chunk by chunk. */
const headNumbers = (config: ModelConfig, tokens: number): number =>
  Math.min(tokens * outputs(config), MOST_LOGITS);

/** @throws ModelError MODEL_MEMORY when `what` needs more than the limit. */
export function requireMemory(what: string, neededBytes: number, limitBytes: number): void {
  if (neededBytes <= limitBytes) return;
  throw new ModelError(
    'MODEL_MEMORY',
    `expected ${what} to fit into ${bytesText(limitBytes)} of memory, got one that needs about ${bytesText(neededBytes)}: use a smaller model or a larger machine; RLHF_MEMORY_LIMIT_BYTES says if there is more`,
  );
}

/** A number of bytes with a unit that suits it, rounded to three digits: an estimate has no more. */
export function bytesText(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB', 'PB', 'EB'];
  const unit = Math.min(units.length - 1, Math.max(0, Math.floor(Math.log10(Math.max(1, bytes)) / 3)));
  return `${Number((bytes / 1000 ** unit).toPrecision(3))} ${units[unit]}`;
}
