/** The two programs of generation, for fixed shapes. */
import { type Engine, type Executable, int32 } from '@rlhf-streams/tensor';
import * as tf from '@tensorflow/tfjs';
import { architectureOf } from '../architectures/index.js';
import type { ModelConfig } from '../model-config.js';
import { parameterSpecs } from '../weights.js';
import { cacheIn, cacheOut, cacheSpecs } from './kv-cache.js';

/**
 * Prefill, which reads whole prompts: ids [rows, length] and the index of each row's last token, last [rows] ->
 * logits [rows, V] after it, and what each layer caches, keys.i and values.i [rows, H, length, K].
 */
export function compilePrefill(
  engine: Engine,
  config: ModelConfig,
  rows: number,
  length: number,
): Promise<Executable> {
  const { forward, languageHead } = architectureOf(config);
  return engine.compile(
    (t) => {
      const { hidden, cache } = forward(config, t, t.ids!);
      const starts = tf.range(0, rows * length, length, 'int32');
      const atLast = tf.gather(hidden, tf.add(starts, t.last!) as tf.Tensor1D);
      return { logits: languageHead(config, t, atLast), ...cacheOut(cache) };
    },
    { ...parameterSpecs(config), ids: int32(rows, length), last: int32(rows) },
  );
}

/**
 * The decode step, one token further in every slot: ids [slots], positions [slots] and the cache, past.keys.i and
 * past.values.i [slots, H, capacity, K] -> logits [slots, V] and the entries keys.i, values.i [slots, H, 1, K] for
 * `positions`.
 */
export function compileDecode(
  engine: Engine,
  config: ModelConfig,
  slots: number,
  capacity: number,
): Promise<Executable> {
  const { step, languageHead } = architectureOf(config);
  return engine.compile(
    (t) => {
      const { hidden, added } = step(config, t, t.ids!, t.positions!, cacheIn(config, t));
      return { logits: languageHead(config, t, hidden), ...cacheOut(added) };
    },
    {
      ...parameterSpecs(config),
      ids: int32(slots),
      positions: int32(slots),
      ...cacheSpecs(config, slots, capacity),
    },
  );
}
