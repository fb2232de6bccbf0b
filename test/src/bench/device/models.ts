/** The models that are measured, with random weights. */
import {
  keyFor,
  type ModelConfig,
  newModelConfig,
  tensorsOf,
  trainedModel,
  uniform,
} from '@rlhf-streams/model';
import { type Buffers, sizeOf } from '@rlhf-streams/tensor';
import type { Case } from './cases.js';

export function modelOf({ shape, rank }: Case): ModelConfig {
  const config = newModelConfig(shape);
  if (rank === 0) return config;
  return trainedModel(config, {
    head: 'language',
    peft: { r: rank, targetModules: 'all-linear' },
    isPublished: true,
  });
}

/** A prime, so that rows of matrices differ. */
const PERIOD = 65_537;

/** Every tensor in the spread that it begins with. Speed does not need draws of their own for a hundred million numbers. */
export function randomTensors(config: ModelConfig): Buffers {
  const key = keyFor(0, 'weights');
  const draws = Float32Array.from({ length: PERIOD }, (_, i) => 2 * uniform(key, i) - 1);
  return Object.fromEntries(
    [...tensorsOf(config)].map(([name, { shape, initial }]) => {
      const data = new Float32Array(sizeOf(shape));
      if ('constant' in initial) return [name, data.fill(initial.constant)];
      // A uniform draw within its bound has the deviation bound / sqrt(3).
      const bound = 'bound' in initial ? initial.bound : initial.deviation * Math.sqrt(3);
      const scaled = draws.map((draw) => draw * bound);
      for (let i = 0; i < data.length; i += PERIOD) data.set(scaled.subarray(0, data.length - i), i);
      return [name, data];
    }),
  );
}
