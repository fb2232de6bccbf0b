/**
 * Keys and values of the sequences that are generated side by side, as state of an engine: a row of this cache is a slot of
 * the batch.
 *
 * Shapes: S slots, C capacity, N rows, T tokens, H heads, K width of a head.
 */
import {
  type Effects,
  float32,
  int32,
  type Program,
  type RowUpdates,
  type Specs,
  type Tensors,
  updatedRows,
} from '@rlhf-streams/tensor';
import * as tf from '@tensorflow/tfjs';
import type { LayerCache } from '../architecture.js';
import { architectureOf } from '../architectures/index.js';
import type { ModelConfig } from '../model-config.js';
import { parameterSpecs } from '../weights.js';
import { BUCKET, buckets } from './request.js';

export interface GenerationShape {
  readonly slots: number;
  /** Tokens that a slot's sequence can have. */
  readonly capacity: number;
}

const KINDS = ['keys', 'values'] as const;
export const cacheNames = ({ layers }: ModelConfig): string[] =>
  Array.from({ length: layers }, (_, layer) => KINDS.map((kind) => `${kind}.${layer}`)).flat();

/** For each layer i `keys.i` and `values.i` [S, H, C, K]. */
function cacheSpecs(config: ModelConfig, { slots, capacity }: GenerationShape): Specs {
  const spec = float32(...architectureOf(config).cacheShape(config, slots, capacity));
  return Object.fromEntries(cacheNames(config).map((name) => [name, spec]));
}

/** The parameters and the cache. */
export const generationState = (config: ModelConfig, shape: GenerationShape): Specs => ({
  ...parameterSpecs(config),
  ...cacheSpecs(config, shape),
});

/** What programs over the first slots alone read of the cache. */
export const firstSlots = (config: ModelConfig, slots: number): Pick<Program, 'first'> => ({
  first: Object.fromEntries(cacheNames(config).map((name) => [name, slots])),
});

/** Slots that one copy fills: the other samples of a prompt get the keys and values of the first. */
export const COPIED_ROWS = 8;
export const copyName = (length: number): string => `copy ${length}`;
export const CLEAR = 'clear';

/** How programs write to the cache: `writeRows`, or `writeInPlace` where they may go on with what they wrote. */
export type Write = (state: Tensors, rows: Readonly<Record<string, RowUpdates>>) => Effects;
export const writeRows: Write = (_, rows) => ({ rows });
export const writeInPlace: Write = (state, rows) => ({
  next: Object.fromEntries(
    Object.entries(rows).map(([name, { indices, updates }]) => [
      name,
      updatedRows({ tensor: state[name]!, indices, updates }, {}).updated,
    ]),
  ),
});

/** Programs that change what slots have, for copies of these lengths. */
export const cachePrograms = (
  config: ModelConfig,
  { capacity }: GenerationShape,
  lengths: readonly number[],
  write: Write,
): Readonly<Record<string, Program>> => ({
  ...Object.fromEntries(lengths.map((length) => [copyName(length), copy(config, length, write)])),
  [CLEAR]: clear(config, capacity, write),
});

/** Lengths of which each is twice the one before, up to `capacity`. */
export const doubledLengths = (capacity: number): number[] =>
  buckets(capacity).filter((length) => Number.isInteger(Math.log2(length / BUCKET)) || length === capacity);

/** Copies the first `length` positions of slots to other slots: from and to, [COPIED_ROWS] each. */
function copy(config: ModelConfig, length: number, write: Write): Program {
  const names = cacheNames(config);
  return {
    inputs: { from: int32(COPIED_ROWS), to: int32(COPIED_ROWS) },
    reads: names,
    run: (state, { from, to }) => {
      const positions = tf.reshape(tf.range(0, length, 1, 'int32'), [1, length]);
      const heads = state[names[0]!]!.shape[1]!;
      const [sources, indices] = [from!, to!].map((slots) => places(slots, heads, positions));
      const rowsOf = (name: string) => ({
        indices: indices!,
        updates: tf.gatherND(state[name]!, sources!),
      });
      return write(state, Object.fromEntries(names.map((name) => [name, rowsOf(name)])));
    },
  };
}

/** Puts zeros at all positions of a slot [1]. */
function clear(config: ModelConfig, capacity: number, write: Write): Program {
  const shape = architectureOf(config).cacheShape(config, 1, capacity);
  return {
    inputs: { slot: int32(1) },
    reads: write === writeInPlace ? cacheNames(config) : [],
    run: (state, { slot }) => {
      const written = { indices: tf.reshape(slot!, [1, 1]), updates: tf.zeros([...shape]) };
      return write(state, Object.fromEntries(cacheNames(config).map((name) => [name, written])));
    },
  };
}

/** The keys and values of a layer. */
export const layerOf = (state: Tensors, layer: number): LayerCache => ({
  keys: state[`keys.${layer}`]!,
  values: state[`values.${layer}`]!,
});

/** Keys and values [N, H, T, K] of each layer as rows of the cache; for slots [N] and positions [N or 1, T]. */
export function stored(added: readonly LayerCache[], slots: tf.Tensor, positions: tf.Tensor) {
  const [, heads, , width] = added[0]!.keys.shape as [number, number, number, number];
  const indices = places(slots, heads, positions);
  return Object.fromEntries(
    added.flatMap((layer, i) =>
      KINDS.map((kind) => [
        `${kind}.${i}`,
        { indices, updates: tf.reshape(layer[kind], [indices.shape[0]!, width]) },
      ]),
    ),
  );
}

/**
 * Indices (slot, head, position) into a cache, [N * H * T, 3] int32; for slots [N] and positions [N or 1, T]. They are
 * computed as float32, where they are as exact: a device may have no arithmetic of int32 (TensorFlow's has none).
 */
export function places(slots: tf.Tensor, heads: number, positions: tf.Tensor): tf.Tensor2D {
  const [N, T] = [slots.size, positions.shape[1]!];
  const each = [
    tf.reshape(tf.cast(slots, 'float32'), [N, 1, 1]),
    tf.reshape(tf.range(0, heads, 1, 'float32'), [1, heads, 1]),
    tf.reshape(tf.cast(positions, 'float32'), [positions.shape[0]!, 1, T]),
  ];
  const grid = tf.stack(
    each.map((part) => tf.broadcastTo(part, [N, heads, T])),
    -1,
  );
  return tf.cast(tf.reshape(grid, [N * heads * T, each.length]), 'int32') as tf.Tensor2D;
}

/** Keys and values where the sequence of a row goes on, isStepping [N] bool, and zeros elsewhere. */
export function whereStepping(isStepping: tf.Tensor, { keys, values }: LayerCache): LayerCache {
  const each = tf.reshape(isStepping, [-1, 1, 1, 1]);
  const only = (x: tf.Tensor) => tf.where(each, x, tf.zerosLike(x));
  return { keys: only(keys), values: only(values) };
}
