/**
 * What a model needs of memory, from its config alone: what is computed in single precision, by programs of ONNX Runtime,
 * which keeps a copy of the weights it is given. Measured peaks lie within a factor of two.
 */
import { sizeOf } from '@rlhf-streams/tensor';
import { architectureOf } from './architectures/index.js';
import { ModelError } from './errors.js';
import type { ModelConfig } from './model-config.js';
import { parameterCount } from './weights.js';

const FLOAT_BYTES = 4;
/** Programs, and the thread they run on. */
const THREAD_BYTES = 30e6;
/** Sequences that a program without a gradient computes at once. */
const ROWS = 8;

export const weightBytes = (config: ModelConfig): number => FLOAT_BYTES * parameterCount(config);

/** To score sequences of up to `length` tokens: a reference, or a reward model. */
export function scoringBytes(config: ModelConfig, { length }: { readonly length: number }): number {
  const numbers = outputs(config) + architectureOf(config).activations(config, length).working;
  return 2 * weightBytes(config) + ROWS * length * numbers * FLOAT_BYTES + THREAD_BYTES;
}

export interface GenerationLoad {
  /** Each has the weights, and slots of its own. */
  readonly threads: number;
  /** Sequences generated side by side in a thread. */
  readonly slots: number;
  /** Tokens of a sequence, prompt and completion. */
  readonly length: number;
  /** Versions of the weights in memory at a time: two where they are exchanged while they are in use. */
  readonly versions: number;
}

export function generationBytes(
  config: ModelConfig,
  { threads, slots, length, versions }: GenerationLoad,
): number {
  const keys = sizeOf(architectureOf(config).cacheShape(config, slots, length));
  const cache = 2 * config.layers * keys * FLOAT_BYTES;
  return threads * (scoringBytes(config, { length }) + (versions - 1) * weightBytes(config) + cache);
}

export interface TrainingLoad {
  /** Micro-batches computed at a time. */
  readonly lanes: number;
  /** Sequences of a micro-batch. */
  readonly rows: number;
  /** Tokens of a sequence. */
  readonly length: number;
}

/**
 * To train all these models together: of each parameter two copies of it and its two moments, those it started from,
 * and its gradient; in each lane its gradient, copies on the way to a worker and back, and the activations.
 */
export function trainingBytes(models: readonly ModelConfig[], { lanes, rows, length }: TrainingLoad): number {
  const weights = models.reduce((sum, config) => sum + weightBytes(config), 0);
  const activations = models.reduce((sum, config) => {
    const { kept } = architectureOf(config).activations(config, length);
    return sum + rows * length * (config.layers * kept + 5 * outputs(config)) * FLOAT_BYTES;
  }, 0);
  return 11 * weights + lanes * (4 * weights + activations + THREAD_BYTES);
}

const outputs = ({ head, vocabSize }: ModelConfig): number =>
  head.kind === 'scalar' ? head.labels : vocabSize;

/** @throws ModelError MODEL_MEMORY when `what` needs more than there is. */
export function requireMemory(what: string, neededBytes: number, limitBytes: number): void {
  if (neededBytes <= limitBytes) return;
  throw new ModelError(
    'MODEL_MEMORY',
    `expected ${what} to fit into ${bytesText(limitBytes)} of memory, got one that needs about ${bytesText(neededBytes)}: use a smaller model or a larger machine; RLHF_MEMORY_LIMIT_BYTES says if there is more`,
  );
}

/** Three digits are more than an estimate has. */
export function bytesText(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB', 'PB', 'EB'];
  const unit = Math.min(units.length - 1, Math.max(0, Math.floor(Math.log10(Math.max(1, bytes)) / 3)));
  return `${Number((bytes / 1000 ** unit).toPrecision(3))} ${units[unit]}`;
}
