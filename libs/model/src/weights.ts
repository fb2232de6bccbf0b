/** The numbers that a model learns: what they are, how many, and where they start. */
import { float32, type Specs, sizeOf } from '@rlhf-streams/tensor';
import type { LearnedTensor } from './architecture.js';
import { architectureOf } from './architectures/index.js';
import type { ModelConfig } from './model-config.js';
import { keyFor, uniform } from './sampling/rollout-draws.js';

export interface WeightTensor {
  readonly shape: readonly number[];
  /** Row-major. */
  readonly data: Float32Array;
}

/** The learned tensors as inputs of a program: their specs by name, in the order of a checkpoint. */
export function parameterSpecs(config: ModelConfig): Specs {
  const tensors = architectureOf(config).tensors(config);
  return Object.fromEntries([...tensors].map(([name, { shape }]) => [name, float32(...shape)]));
}

/** The sizes of all learned tensors together, found without listing them: every layer adds the same. */
export function parameterCount(config: ModelConfig): number {
  const withLayers = (layers: number) =>
    Object.values(parameterSpecs({ ...config, layers })).reduce((sum, { shape }) => sum + sizeOf(shape), 0);
  const outside = withLayers(0);
  return outside + config.layers * (withLayers(1) - outside);
}

/** The weights of an untrained model, a function of (config, seed): every tensor draws from a generator of its own. */
export function initialiseWeights(config: ModelConfig, seed: number): Map<string, WeightTensor> {
  const tensors = architectureOf(config).tensors(config);
  return new Map(
    [...tensors].map(([name, { shape, initial }]) => [
      name,
      { shape, data: filled(new Float32Array(sizeOf(shape)), initial, seed, name) },
    ]),
  );
}

/** Normal draws by Box-Muller: two uniforms become two normals. */
function filled(
  data: Float32Array,
  initial: LearnedTensor['initial'],
  seed: number,
  name: string,
): Float32Array {
  if ('constant' in initial) return data.fill(initial.constant);
  const key = keyFor(seed, `initial weights of ${name}`);
  for (let i = 0; i < data.length; i += 2) {
    const radius = initial.deviation * Math.sqrt(-2 * Math.log(1 - uniform(key, i)));
    const angle = 2 * Math.PI * uniform(key, i + 1);
    data[i] = radius * Math.cos(angle);
    if (i + 1 < data.length) data[i + 1] = radius * Math.sin(angle);
  }
  return data;
}
