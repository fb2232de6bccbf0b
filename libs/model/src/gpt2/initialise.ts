import type { WeightTensor } from '../checkpoint/directory.js';
import { gpt2TensorShapes } from '../checkpoint/gpt2-tensors.js';
import type { ModelConfig } from '../checkpoint/hf-config.js';
import { keyFor, uniform } from '../sampling/rollout-draws.js';

/** Standard deviation of GPT-2's initial weights. */
const DEVIATION = 0.02;

/**
 * GPT-2's initial weights: normal with deviation 0.02, divided by sqrt(2 layers) where a layer adds to the residual
 * stream; layer norms 1 and biases 0; a scalar head 0, so that an untrained one says nothing.
 * A function of (config, seed): every tensor draws from a generator of its own.
 */
export function initialiseWeights(config: ModelConfig, seed: number): Map<string, WeightTensor> {
  const tensors = new Map<string, WeightTensor>();
  for (const [name, shape] of gpt2TensorShapes(config)) {
    tensors.set(name, { shape, data: initial(config, name, shape, seed) });
  }
  return tensors;
}

function initial(config: ModelConfig, name: string, shape: readonly number[], seed: number): Float32Array {
  const data = new Float32Array(shape.reduce((size, dim) => size * dim, 1));
  if (name.endsWith('.bias') || name === 'score.weight') return data;
  if (/ln_\w+\.weight$/.test(name)) return data.fill(1);
  const residual = name.endsWith('c_proj.weight');
  return fillNormal(data, residual ? DEVIATION / Math.sqrt(2 * config.layers) : DEVIATION, seed, name);
}

/** Box-Muller: two uniforms become two normals. */
function fillNormal(data: Float32Array, deviation: number, seed: number, name: string): Float32Array {
  const key = keyFor(seed, `initial weights of ${name}`);
  for (let i = 0; i < data.length; i += 2) {
    const radius = deviation * Math.sqrt(-2 * Math.log(1 - uniform(key, i)));
    const angle = 2 * Math.PI * uniform(key, i + 1);
    data[i] = radius * Math.cos(angle);
    if (i + 1 < data.length) data[i + 1] = radius * Math.sin(angle);
  }
  return data;
}
