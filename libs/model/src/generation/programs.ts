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
const MIN_ROWS = 2;

/** Prompts of one prefill: the smaller program serves where it suffices. A row's numbers do not depend on the others. */
const PREFILL_ROWS = [MIN_ROWS, 8] as const;
/** Tokens of a prefill with more rows than the fewest: what is computed of them at a time has to fit into memory. */
const PREFILL_TOKENS = 2048;
export const prefillRows = (length: number): readonly number[] =>
  PREFILL_ROWS.filter((rows) => rows === MIN_ROWS || rows * length <= PREFILL_TOKENS);

/** Whether matrices lie laid out in a file, as those of large models do: then all sessions share them, and have few shapes. */
export const isLaidOut = (frozen: Frozen | undefined): boolean =>
  frozen !== undefined && 'stored' in frozen && frozen.stored.packed !== undefined;

/**
 * Prefill of a model that is laid out: prompts are read in parts of `PART` tokens, so that a long prompt takes no more memory
 * than a short one. A program reads a part of one prompt, or of four.
 */
export const PART = 32;
export const PART_ROWS = [1, 4] as const;
/** Tokens that programs of parts give a distribution after: what is computed for those alone has rows enough. */
export const lastRows = (rows: number): number => Math.max(rows, MIN_ROWS);

/** Rows of decode steps over the first slots: a few sequences do not cost as much as all slots. */
export const decodeRows = (slots: number, frozen: Frozen | undefined): readonly number[] =>
  isLaidOut(frozen) ? [...[MIN_ROWS, 4, 16].filter((rows) => rows < slots), slots] : [slots];

/** Slots that one copy fills: the other samples of a prompt get the keys and values of the first. */
export const COPIED_ROWS = 8;

export const prefillName = (rows: number, length: number): string => `prefill ${rows} x ${length}`;
export const copyName = (length: number): string => `copy ${length}`;
export const decodeName = (rows: number): string => `decode ${rows}`;
/** Lengths of copies, the first of which that suffices is taken. */
export const copyLengths = (capacity: number, frozen: Frozen | undefined): readonly number[] =>
  isLaidOut(frozen)
    ? buckets(capacity).filter(
        (length) => Number.isInteger(Math.log2(length / BUCKET)) || length === capacity,
      )
    : buckets(capacity);

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
  const { slots, capacity } = shape;
  const programs: Record<string, Program> = {};
  for (const rows of decodeRows(slots, frozen))
    programs[decodeName(rows)] = decode(config, shape, rows, frozen);
  for (const length of copyLengths(capacity, frozen)) programs[copyName(length)] = copy(config, length);
  if (frozen && isLaidOut(frozen))
    for (const rows of PART_ROWS) programs[prefillName(rows, PART)] = prefillPart(config, rows, frozen);
  else
    for (const length of buckets(capacity))
      for (const rows of prefillRows(length))
        programs[prefillName(rows, length)] = prefill(config, rows, length);
  return programs;
}

/** The matrices that generation has on the right of products, which frozen weights can have laid out. */
export const generationProducts = (config: ModelConfig): Products => {
  const shape = { slots: MIN_ROWS, capacity: BUCKET };
  return productsOf(decode(config, shape, MIN_ROWS), generationState(config, shape));
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
 * Reads parts of prompts into slots: ids [N, T], the tokens that each slot has already, positions [N], its slot [N]; the
 * last tokens of rows among all, last [`lastRows` of N], with a temperature each -> the distribution after them, which counts
 * where the prompt ends. Rows may be the same as another one, slot included.
 */
function prefillPart(config: ModelConfig, rows: number, frozen: Frozen): Program {
  const { extend, languageHead } = architectureOf(config);
  return {
    inputs: {
      ids: int32(rows, PART),
      positions: int32(rows),
      slot: int32(rows),
      last: int32(lastRows(rows)),
      temperature: float32(lastRows(rows)),
    },
    reads: [...Object.keys(parameterSpecs(config)), ...cacheNames(config)],
    constants: namesOf(frozen),
    run: (state, { ids, positions, last, slot, temperature }) => {
      const cache = Array.from({ length: config.layers }, (_, index): LayerCache => {
        const { keys, values } = layerOf(state, index);
        return { keys: tf.gather(keys, slot as tf.Tensor1D), values: tf.gather(values, slot as tf.Tensor1D) };
      });
      const { hidden, added } = extend(config, state, ids!, positions!, cache, last!);
      const places = tf.add(tf.reshape(positions!, [rows, 1]), tf.range(0, PART, 1, 'int32'));
      return {
        outputs: distribution(languageHead(config, state, hidden), temperature!),
        rows: stored(added, slot!, places),
      };
    },
  };
}

/**
 * One token further in each of the first S slots: ids [S], their positions [S], temperature [S] -> the distribution after
 * them. With an adapter, stepping [S] is 0 where the sequence of another version is: zeros are put at its next position, because what
 * this adapter makes there may not be finite.
 */
function decode(config: ModelConfig, shape: GenerationShape, slots: number, frozen?: Frozen): Program {
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
    ...(slots < shape.slots && {
      first: Object.fromEntries(cacheNames(config).map((name) => [name, slots])),
    }),
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
