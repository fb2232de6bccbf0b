/**
 * The state of generation and its programs, for fixed shapes. The engine keeps the parameters, and keys and values of
 * the sequences that are generated side by side: a row of this cache is a slot of the batch.
 *
 * Shapes: S slots, C capacity, N rows of a prefill, T tokens of its prompts, H heads, K width of a head, V vocabulary.
 */
import {
  type Frozen,
  float32,
  int32,
  namesOf,
  type Products,
  type Program,
  productsOf,
  type Specs,
  type Tensors,
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

/** ONNX Runtime multiplies a matrix of one row by another algorithm, whose last bits differ: programs have two rows. */
export const MIN_ROWS = 2;

/** Prompts of one prefill: the smaller program serves where it suffices. A row's numbers do not depend on the others. */
export const PREFILL_ROWS = [MIN_ROWS, 8] as const;

/** Slots that one copy fills: the other samples of a prompt get the keys and values of the first. */
export const COPIED_ROWS = 8;

export const prefillName = (rows: number, length: number): string => `prefill ${rows} x ${length}`;
export const copyName = (length: number): string => `copy ${length}`;
export const DECODE = 'decode';

const KINDS = ['keys', 'values'] as const;
const cacheNames = ({ layers }: ModelConfig): string[] =>
  Array.from({ length: layers }, (_, layer) => KINDS.map((kind) => `${kind}.${layer}`)).flat();

/** For each layer i `keys.i` and `values.i` [S, H, C, K]. */
export function cacheSpecs(config: ModelConfig, { slots, capacity }: GenerationShape): Specs {
  const spec = float32(...architectureOf(config).cacheShape(config, slots, capacity));
  return Object.fromEntries(cacheNames(config).map((name) => [name, spec]));
}

export const generationState = (config: ModelConfig, shape: GenerationShape): Specs => ({
  ...parameterSpecs(config),
  ...cacheSpecs(config, shape),
});

/**
 * Every program that a batch of this shape may need.
 * @param frozen the base, if versions are adapters on it, or the model, if it has no other version
 */
export function generationPrograms(
  config: ModelConfig,
  shape: GenerationShape,
  frozen?: Frozen,
): Readonly<Record<string, Program>> {
  const programs: Record<string, Program> = { [DECODE]: decode(config, shape, frozen) };
  for (const length of buckets(shape.capacity)) {
    for (const rows of PREFILL_ROWS) programs[prefillName(rows, length)] = prefill(config, rows, length);
    programs[copyName(length)] = copy(config, length);
  }
  return programs;
}

/** The matrices that generation has on the right of products, which frozen weights can have laid out. */
export const generationProducts = (config: ModelConfig): Products => {
  const shape = { slots: MIN_ROWS, capacity: BUCKET };
  return productsOf(decode(config, shape), generationState(config, shape));
};

/** What the next token is drawn from: logits [N, V], and softmax(logits / temperature) with a temperature for each row. */
function distribution(logits: tf.Tensor2D, temperature: tf.Tensor) {
  // The greatest logit is subtracted before the division: the least temperatures would make infinities of the others.
  const below = tf.sub(logits, tf.max(logits, -1, true));
  return { logits, probabilities: tf.softmax(tf.div(below, tf.reshape(temperature, [-1, 1]))) };
}

/**
 * Reads whole prompts into slots: ids [N, T], the index of each row's last token, last [N], its slot [N] and temperature
 * [N] -> the distribution after the last token. Rows may be the same as another one, slot included.
 */
function prefill(config: ModelConfig, rows: number, length: number): Program {
  const { forward, languageHead } = architectureOf(config);
  return {
    inputs: {
      ids: int32(rows, length),
      last: int32(rows),
      slot: int32(rows),
      temperature: float32(rows),
    },
    reads: Object.keys(parameterSpecs(config)),
    run: (p, { ids, last, slot, temperature }) => {
      const starts = tf.range(0, rows * length, length, 'int32');
      const { hidden, cache } = forward(config, p, ids!, tf.add(starts, last!));
      const positions = tf.range(0, length, 1, 'int32');
      return {
        outputs: distribution(languageHead(config, p, hidden), temperature!),
        rows: stored(cache, slot!, tf.reshape(positions, [1, length])),
      };
    },
  };
}

/**
 * One token further in every slot: ids [S], their positions [S], temperature [S] -> the distribution after them. With an
 * adapter, stepping [S] is 0 where the sequence of another version is: zeros are put at its next position, because what
 * this adapter makes there may not be finite.
 */
function decode(config: ModelConfig, { slots }: GenerationShape, frozen?: Frozen): Program {
  const { step, languageHead } = architectureOf(config);
  const parameters = Object.keys(parameterSpecs(config));
  return {
    inputs: {
      ids: int32(slots),
      positions: int32(slots),
      temperature: float32(slots),
      ...(config.adapter && { stepping: int32(slots) }),
    },
    reads: [...parameters, ...cacheNames(config)],
    // A version decodes at least as many steps as a completion has tokens: it is worth compiling its weights in.
    constants: frozen ? namesOf(frozen) : parameters,
    run: (state, { ids, positions, temperature, stepping }) => {
      const cache = Array.from({ length: config.layers }, (_, layer) => layerOf(state, layer));
      const { hidden, added } = step(config, state, ids!, positions!, cache);
      const kept = stepping ? added.map((layer) => whereStepping(stepping, layer)) : added;
      return {
        outputs: distribution(languageHead(config, state, hidden), temperature!),
        rows: stored(kept, tf.range(0, slots, 1, 'int32'), tf.reshape(positions!, [slots, 1])),
      };
    },
  };
}

function whereStepping(stepping: tf.Tensor, { keys, values }: LayerCache): LayerCache {
  const isStepping = tf.cast(tf.reshape(stepping, [-1, 1, 1, 1]), 'bool');
  const only = (x: tf.Tensor) => tf.where(isStepping, x, tf.zerosLike(x));
  return { keys: only(keys), values: only(values) };
}

/** Copies the first `length` positions of slots to other slots: from and to, [COPIED_ROWS] each. */
function copy(config: ModelConfig, length: number): Program {
  const names = cacheNames(config);
  return {
    inputs: { from: int32(COPIED_ROWS), to: int32(COPIED_ROWS) },
    reads: names,
    run: (state, { from, to }) => {
      const positions = tf.reshape(tf.range(0, length, 1, 'int32'), [1, length]);
      const heads = state[names[0]!]!.shape[1]!;
      const [sources, indices] = [from!, to!].map((slots) => places(slots, heads, positions));
      return {
        rows: Object.fromEntries(
          names.map((name) => [name, { indices: indices!, updates: tf.gatherND(state[name]!, sources!) }]),
        ),
      };
    },
  };
}

const layerOf = (state: Tensors, layer: number): LayerCache => ({
  keys: state[`keys.${layer}`]!,
  values: state[`values.${layer}`]!,
});

/** Keys and values [N, H, T, K] of each layer as rows of the cache; for slots [N] and positions [N or 1, T]. */
function stored(added: readonly LayerCache[], slots: tf.Tensor, positions: tf.Tensor) {
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

/** Indices (slot, head, position) into a cache, [N * H * T, 3] int32; for slots [N] and positions [N or 1, T]. */
function places(slots: tf.Tensor, heads: number, positions: tf.Tensor): tf.Tensor2D {
  const [N, T] = [slots.size, positions.shape[1]!];
  const each = [
    tf.reshape(slots, [N, 1, 1]),
    tf.reshape(tf.range(0, heads, 1, 'int32'), [1, heads, 1]),
    tf.reshape(positions, [positions.shape[0]!, 1, T]),
  ];
  const grid = tf.stack(
    each.map((part) => tf.broadcastTo(part, [N, heads, T])),
    -1,
  );
  return tf.reshape(grid, [N * heads * T, each.length]);
}
