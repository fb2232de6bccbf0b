/**
 * The programs of generation on a device, for fixed shapes. Beside the cache there is a table of the next steps: the host
 * writes it and has several steps run, each of which goes on from where the one before it left off; then the host reads it.
 * Ids and positions are float32, as of `sampling/on-device.ts`.
 *
 * Shapes: S slots, N rows, T tokens of prompts, n steps at most between two readings.
 */
import { float32, int32, type Program, type Specs } from '@rlhf-streams/tensor';
import * as tf from '@tensorflow/tfjs';
import { architectureOf } from '../architectures/index.js';
import type { ModelConfig } from '../model-config.js';
import { SETTINGS, sampleOnDevice } from '../sampling/on-device.js';
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
} from './cache.js';

/**
 * Columns of the table: the newest token, its position, the last position whose token may be read, whether the sequence
 * goes on (1, else 0), and how its tokens are drawn.
 */
export const COLUMNS = ['token', 'position', 'last', 'live', ...SETTINGS] as const;
/** Behind them is a queue of n pairs. A step takes the first one, a draw and a given token (or -1), and puts a token and its log-prob behind the last one. */
export const QUEUED = 8;
export const TABLE = 'steps';
export const tableWidth = COLUMNS.length + 2 * QUEUED;

export const deviceState = (config: ModelConfig, shape: GenerationShape): Specs => ({
  ...generationState(config, shape),
  [TABLE]: float32(shape.slots, tableWidth),
});

/** Steps are over the first slots: a few sequences do not cost as much as all of them. */
export const stepRows = (slots: number): readonly number[] => [
  ...Array.from({ length: Math.ceil(Math.log2(slots)) }, (_, i) => 2 ** (i + 1)).filter(
    (rows) => rows < slots,
  ),
  slots,
];
export const stepName = (rows: number, limited: boolean): string =>
  `step ${rows}${limited ? ', top-k and top-p' : ''}`;

export const prefillLengths = doubledLengths;
/** Prompts of one prefill: the smallest that suffices is taken. */
const PREFILL_ROWS = [2, 8, 32] as const;
/** Tokens of a prefill with more rows than the fewest. */
const PREFILL_TOKENS = 2 ** 13;
export const prefillRows = (length: number): readonly number[] =>
  PREFILL_ROWS.filter((rows) => rows === PREFILL_ROWS[0] || rows * length <= PREFILL_TOKENS);
export const prefillName = (rows: number, length: number): string => `read ${rows} x ${length}`;

/** Every program that a batch of this shape may need. */
export function devicePrograms(
  config: ModelConfig,
  shape: GenerationShape,
): Readonly<Record<string, Program>> {
  const programs: Record<string, Program> = {
    ...cachePrograms(config, shape, doubledLengths(shape.capacity)),
  };
  for (const rows of stepRows(shape.slots))
    for (const limited of [false, true])
      programs[stepName(rows, limited)] = step(config, shape, rows, limited);
  for (const length of prefillLengths(shape.capacity))
    for (const rows of prefillRows(length))
      programs[prefillName(rows, length)] = prefill(config, rows, length);
  return programs;
}

/**
 * Reads prompts into slots: ids [N, T], padded on the right, and slot [N]. Rows may be the same as another one, slot included.
 * What comes after a prompt is drawn by the first step, which starts from its last token.
 */
function prefill(config: ModelConfig, rows: number, length: number): Program {
  return {
    inputs: { ids: int32(rows, length), slot: int32(rows) },
    reads: Object.keys(parameterSpecs(config)),
    run: (p, { ids, slot }) => {
      const one = tf.range(0, rows * length, length, 'int32');
      const { cache } = architectureOf(config).forward(config, p, ids!, one);
      const positions = tf.reshape(tf.range(0, length, 1, 'float32'), [1, length]);
      return { rows: stored(cache, slot!, positions) };
    },
  };
}

/**
 * One token further in each of the first N slots.
 * @returns outputs `drawn`: the rows of the table [N, ...]; and the logits [N, V] that its newest tokens are drawn from
 */
function step(config: ModelConfig, shape: GenerationShape, rows: number, limited: boolean): Program {
  const { step, languageHead } = architectureOf(config);
  const { first } = firstSlots(config, rows);
  return {
    inputs: {},
    reads: [...Object.keys(parameterSpecs(config)), ...cacheNames(config), TABLE],
    ...(rows < shape.slots && { first: { ...first, [TABLE]: rows } }),
    run: (state) => {
      const ones = COLUMNS.map(() => 1);
      const parts = tf.split(state[TABLE]! as tf.Tensor2D, [...ones, 1, 1, 2 * QUEUED - 2], 1);
      const [token, position, last, live] = parts as [tf.Tensor2D, tf.Tensor2D, tf.Tensor2D, tf.Tensor2D];
      const settings = parts.slice(COLUMNS.length - SETTINGS.length, COLUMNS.length);
      const [draw, given, queue] = parts.slice(COLUMNS.length) as [tf.Tensor2D, tf.Tensor2D, tf.Tensor2D];
      const [temperature, least, topK, topP] = settings as [tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor];

      const ids = (x: tf.Tensor) => tf.cast(tf.reshape(x, [rows]), 'int32');
      const cache = Array.from({ length: config.layers }, (_, layer) => layerOf(state, layer));
      const { hidden, added } = step(config, state, ids(token), ids(position), cache);
      // What an adapter makes of another one's sequence may not be finite.
      const isLive = config.adapter && tf.greater(live, 0);
      const kept = isLive ? added.map((layer) => whereStepping(isLive, layer)) : added;

      const logits = languageHead(config, state, hidden);
      const sampler = sampleOnDevice(logits, { temperature, least, topK, topP }, draw, limited);
      const next = tf.where(tf.greaterEqual(given, 0), given, sampler.tokens) as tf.Tensor2D;
      const logprob = sampler.logprobsOf(next);
      const further = tf.minimum(tf.add(position, 1), last);
      const drawn = tf.concat([next, further, last, live, ...settings, queue, next, logprob], 1);
      const slots = tf.range(0, rows, 1, 'float32');
      return {
        outputs: { drawn, logits },
        rows: {
          ...stored(kept, slots, position),
          [TABLE]: { indices: tf.reshape(tf.range(0, rows, 1, 'int32'), [rows, 1]), updates: drawn },
        },
      };
    },
  };
}
