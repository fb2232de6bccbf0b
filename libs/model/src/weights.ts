/** The numbers that a model learns: what they are, how many, and where they start. */
import { float32, type Specs, sizeOf } from '@rlhf-streams/tensor';
import { lowRankCount, tensorsOf } from './adapters/tensors.js';
import type { LearnedTensor } from './architecture.js';
import type { ModelConfig } from './model-config.js';
import { keyFor, uniform } from './sampling/rollout-draws.js';

export interface WeightTensor {
  readonly shape: readonly number[];
  /** Row-major. */
  readonly data: Float32Array;
}

/** The learned tensors as inputs of a program: their specs by name, in the order of {@link tensorsOf}. */
export function parameterSpecs(config: ModelConfig): Specs {
  return Object.fromEntries([...tensorsOf(config)].map(([name, { shape }]) => [name, float32(...shape)]));
}

/** The sizes of all learned tensors together; those of the architecture without listing them: every layer adds the same. */
export function parameterCount(config: ModelConfig): number {
  const { adapter: _, ...base } = config;
  const withLayers = (layers: number) =>
    Object.values(parameterSpecs({ ...base, layers })).reduce((sum, { shape }) => sum + sizeOf(shape), 0);
  const outside = withLayers(0);
  return outside + config.layers * (withLayers(1) - outside) + lowRankCount(config);
}

/**
 * The weights of an untrained model, a function of (config, seed): every tensor draws from a generator of its own.
 * @param wanted tells by name which tensors are asked for. Default: all
 */
export function initialiseWeights(
  config: ModelConfig,
  seed: number,
  wanted: (name: string) => boolean = () => true,
): Map<string, WeightTensor> {
  return new Map(
    [...tensorsOf(config)].flatMap(([name, { shape, initial }]) =>
      wanted(name)
        ? [[name, { shape, data: filled(new Float32Array(sizeOf(shape)), initial, seed, name) }] as const]
        : [],
    ),
  );
}

/** Normal draws are by Box-Muller: two uniforms become two normals. */
function filled(
  data: Float32Array,
  initial: LearnedTensor['initial'],
  seed: number,
  name: string,
): Float32Array {
  if ('constant' in initial) return data.fill(initial.constant);
  const key = keyFor(seed, `initial weights of ${name}`);
  if ('bound' in initial) return data.map((_, i) => initial.bound * (2 * uniform(key, i) - 1));
  for (let i = 0; i < data.length; i += 2) {
    const radius = initial.deviation * Math.sqrt(-2 * Math.log(1 - uniform(key, i)));
    const angle = 2 * Math.PI * uniform(key, i + 1);
    data[i] = radius * Math.cos(angle);
    if (i + 1 < data.length) data[i + 1] = radius * Math.sin(angle);
  }
  return data;
}
