import { type Engine, type Executable, float32, int32, type Specs } from '@rlhf-streams/tensor';
import * as tf from '@tensorflow/tfjs';
import { gpt2TensorShapes } from '../checkpoint/gpt2-tensors.js';
import type { ModelConfig } from '../checkpoint/hf-config.js';
import { forward, type LayerCache, languageHead, step } from '../gpt2/gpt2.js';

/** The parameters as inputs of a program: their specs by name, in checkpoint order. */
export function parameterSpecs(config: ModelConfig): Specs {
  return Object.fromEntries([...gpt2TensorShapes(config)].map(([name, shape]) => [name, float32(...shape)]));
}

/** Shape of the keys, or values, of one layer for `rows` rows of `capacity` tokens: [rows, H, capacity, K]. */
export const cacheShape = (config: ModelConfig, rows: number, capacity: number) =>
  [rows, config.heads, capacity, config.width / config.heads] as const;

/**
 * Reads whole prompts: ids [rows, length] and the index of each row's last token, last [rows] ->
 * logits [rows, V] after it, and keys.i, values.i [rows, H, length, K] a layer.
 */
export function compilePrefill(
  engine: Engine,
  config: ModelConfig,
  rows: number,
  length: number,
): Promise<Executable> {
  return engine.compile(
    (t) => {
      const { hidden, cache } = forward(config, t, t.ids!);
      const starts = tf.range(0, rows * length, length, 'int32');
      const atLast = tf.gather(hidden, tf.add(starts, t.last!) as tf.Tensor1D);
      return { logits: languageHead(t, atLast), ...named(cache) };
    },
    { ...parameterSpecs(config), ids: int32(rows, length), last: int32(rows) },
  );
}

/**
 * One token further: ids [slots], positions [slots] and the cache (past.keys.i, past.values.i
 * [slots, H, capacity, K]) -> logits [slots, V] and the entries keys.i, values.i [slots, H, 1, K] for `positions`.
 */
export function compileDecode(
  engine: Engine,
  config: ModelConfig,
  slots: number,
  capacity: number,
): Promise<Executable> {
  const shape = cacheShape(config, slots, capacity);
  const layers = Array.from({ length: config.layers }, (_, layer) => layer);
  const cacheSpecs = layers.flatMap((layer) => [
    [`past.keys.${layer}`, float32(...shape)],
    [`past.values.${layer}`, float32(...shape)],
  ]);
  return engine.compile(
    (t) => {
      const past = layers.map((layer) => ({
        keys: t[`past.keys.${layer}`]!,
        values: t[`past.values.${layer}`]!,
      }));
      const { hidden, added } = step(config, t, t.ids!, t.positions!, past);
      return { logits: languageHead(t, hidden), ...named(added) };
    },
    {
      ...parameterSpecs(config),
      ids: int32(slots),
      positions: int32(slots),
      ...Object.fromEntries(cacheSpecs),
    },
  );
}

const named = (cache: readonly LayerCache[]): Record<string, tf.Tensor> =>
  Object.fromEntries(
    cache.flatMap(({ keys, values }, layer) => [
      [`keys.${layer}`, keys],
      [`values.${layer}`, values],
    ]),
  );
