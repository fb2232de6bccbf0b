/**
 * The programs of generation where the host draws the tokens, for fixed shapes: they give it distributions.
 *
 * Shapes: S slots, N rows of a prefill, T tokens of its prompts, V vocabulary.
 */
import {
  type Frozen,
  float32,
  int32,
  namesOf,
  type Products,
  type Program,
  productsOf,
} from '@rlhf-streams/tensor';
import * as tf from '@tensorflow/tfjs';
import type { LayerCache } from '../architecture.js';
import { architectureOf } from '../architectures/index.js';
import type { ModelConfig } from '../model-config.js';
import { parameterSpecs } from '../weights.js';
import {
  cacheNames,
  cachePrograms,
  doubledLengths,
  firstSlots,
  type GenerationShape,
  generationState,
  layerOf,
  stored,
  whereStepping,
  writeRows,
} from './cache.js';
import { BUCKET, buckets } from './request.js';

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

export const prefillName = (rows: number, length: number): string => `prefill ${rows} x ${length}`;
export const decodeName = (rows: number): string => `decode ${rows}`;
/** Lengths of copies. */
export const copyLengths = (capacity: number, frozen: Frozen | undefined): readonly number[] =>
  isLaidOut(frozen) ? doubledLengths(capacity) : buckets(capacity);

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
  const programs: Record<string, Program> = {
    ...cachePrograms(config, shape, copyLengths(capacity, frozen), writeRows),
  };
  for (const rows of decodeRows(slots, frozen))
    programs[decodeName(rows)] = decode(config, shape, rows, frozen);
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
    ...(slots < shape.slots && firstSlots(config, slots)),
    // A version decodes at least as many steps as a completion has tokens: it is worth compiling its weights in.
    constants: frozen ? namesOf(frozen) : parameters,
    run: (state, { ids, positions, temperature, stepping }) => {
      const cache = Array.from({ length: config.layers }, (_, layer) => layerOf(state, layer));
      const { hidden, added } = step(config, state, ids!, positions!, cache);
      const isStepping = stepping && tf.cast(stepping, 'bool');
      const kept = isStepping ? added.map((layer) => whereStepping(isStepping, layer)) : added;
      return {
        outputs: distribution(languageHead(config, state, hidden), temperature!),
        rows: stored(kept, tf.range(0, slots, 1, 'int32'), tf.reshape(positions!, [slots, 1])),
      };
    },
  };
}
