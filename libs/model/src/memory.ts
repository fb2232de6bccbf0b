/**
 * What a model needs of memory, from its shape alone: what is computed in single precision, by programs of ONNX Runtime,
 * which keeps a copy of the weights it is given. Activations are counted after Korthikanti et al. 2022, "Reducing
 * Activation Recomputation in Large Transformer Models", section 4. Measured peaks lie within a factor of two.
 */
import type { ModelConfig } from './checkpoint/hf-config.js';
import { ModelError } from './errors.js';

type Shape = Pick<
  ModelConfig,
  | 'vocabSize'
  | 'contextLength'
  | 'width'
  | 'layers'
  | 'heads'
  | 'mlpWidth'
  | 'numLabels'
  | 'tieWordEmbeddings'
>;

const FLOAT_BYTES = 4;
/** Programs, and the thread they run on. */
const THREAD_BYTES = 30e6;
/** Sequences that a program without a gradient computes at once. */
const ROWS = 8;

/** Numbers that a model learns: the sizes of all its tensors, `gpt2TensorShapes`, in closed form. */
export function parameterCount(shape: Shape): number {
  const { vocabSize: V, contextLength: T, width: D, mlpWidth: M, layers, numLabels } = shape;
  const attention = 3 * D * D + 3 * D + D * D + D;
  const mlp = 2 * D * M + M + D;
  const layer = attention + mlp + 4 * D;
  const head = numLabels === undefined ? (shape.tieWordEmbeddings ? 0 : V * D) : numLabels * D;
  return V * D + T * D + layers * layer + 2 * D + head;
}

export const weightBytes = (shape: Shape): number => FLOAT_BYTES * parameterCount(shape);

/** To score sequences of up to `length` tokens: a reference, or a reward model. */
export function scoringBytes(shape: Shape, { length }: { readonly length: number }): number {
  const { width, heads } = shape;
  const numbers = outputs(shape) + 8 * width + 2 * heads * length;
  return 2 * weightBytes(shape) + ROWS * length * numbers * FLOAT_BYTES + THREAD_BYTES;
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

export function generationBytes(shape: Shape, { threads, slots, length, versions }: GenerationLoad): number {
  const cache = 2 * shape.layers * slots * length * shape.width * FLOAT_BYTES;
  return threads * (scoringBytes(shape, { length }) + (versions - 1) * weightBytes(shape) + cache);
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
export function trainingBytes(shapes: readonly Shape[], { lanes, rows, length }: TrainingLoad): number {
  const weights = shapes.reduce((sum, shape) => sum + weightBytes(shape), 0);
  const activations = shapes.reduce((sum, shape) => {
    const layer = 17 * shape.width + 2.5 * shape.heads * length;
    return sum + rows * length * (shape.layers * layer + 5 * outputs(shape)) * FLOAT_BYTES;
  }, 0);
  return 11 * weights + lanes * (4 * weights + activations + THREAD_BYTES);
}

const outputs = ({ numLabels, vocabSize }: Shape): number => numLabels ?? vocabSize;

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
