/**
 * The programs of generation on a device, for fixed shapes. Beside the cache there is a table of the next steps: the host
 * writes it and has several steps run, each of which goes on from where the one before it left off; then the host reads it.
 * Ids and positions are float32, as of `sampling/on-device.ts`.
 *
 * Shapes: S slots, N rows, T tokens of prompts, n steps at most between two readings.
 */
import {
  type Frozen,
  float32,
  int32,
  namesOf,
  type Program,
  type Specs,
  updatedRows,
} from '@rlhf-streams/tensor';
import * as tf from '@tensorflow/tfjs';
import type { LayerCache } from '../architecture.js';
import { architectureOf } from '../architectures/index.js';
import type { ModelConfig } from '../model-config.js';
import { SETTINGS, sampleOnDevice } from '../sampling/on-device.js';
import { parameterSpecs } from '../weights.js';
import {
  cacheNames,
  cachePrograms,
  doubledLengths,
  type GenerationShape,
  generationState,
  places,
  stored,
  whereStepping,
  writeInPlace,
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

/**
 * Steps are over the first slots: a few sequences do not cost as much as all of them. Few rows take a device about as long
 * as one, and an engine longer to prepare the more sizes there are.
 */
export const stepRows = (slots: number): readonly number[] => [
  ...[2, 8, 32, 64, 128].filter((rows) => rows < slots),
  slots,
];
export const stepName = (rows: number, limited: boolean): string =>
  `step ${rows}${limited ? ', top-k and top-p' : ''}`;

export const prefillLengths = doubledLengths;
/** Prompts of one prefill: the smallest that suffices is taken. */
const PREFILL_ROWS = [2, 16] as const;
/** Tokens of a prefill with more rows than the fewest. */
const PREFILL_TOKENS = 2 ** 13;
export const prefillRows = (length: number): readonly number[] =>
  PREFILL_ROWS.filter((rows) => rows === PREFILL_ROWS[0] || rows * length <= PREFILL_TOKENS);
export const prefillName = (rows: number, length: number): string => `read ${rows} x ${length}`;

/** Every program that a batch of this shape may need. */
export function devicePrograms(
  config: ModelConfig,
  shape: GenerationShape,
  frozen?: Frozen,
): Readonly<Record<string, Program>> {
  // A version decodes at least as many steps as a completion has tokens.
  const constants = frozen ? namesOf(frozen) : Object.keys(parameterSpecs(config));
  const programs: Record<string, Program> = {
    ...cachePrograms(config, shape, doubledLengths(shape.capacity), writeInPlace),
  };
  for (const rows of stepRows(shape.slots))
    for (const limited of [false, true])
      programs[stepName(rows, limited)] = { ...step(config, shape, rows, limited), constants };
  for (const length of prefillLengths(shape.capacity))
    for (const rows of prefillRows(length))
      programs[prefillName(rows, length)] = { ...prefill(config, rows, length), constants };
  return programs;
}

/**
 * Reads prompts into slots: ids [N, T], padded on the right, and slot [N]. Rows may be the same as another one, slot included.
 * What comes after a prompt is drawn by the first step, which starts from its last token.
 */
function prefill(config: ModelConfig, rows: number, length: number): Program {
  return {
    inputs: { ids: int32(rows, length), slot: int32(rows) },
    reads: [...Object.keys(parameterSpecs(config)), ...cacheNames(config)],
    run: (state, { ids, slot }) => {
      const one = tf.range(0, rows * length, length, 'int32');
      const { cache } = architectureOf(config).forward(config, state, ids!, one);
      const positions = tf.reshape(tf.range(0, length, 1, 'float32'), [1, length]);
      return writeInPlace(state, stored(cache, slot!, positions));
    },
  };
}

/**
 * One token further in each of the first N slots.
 * @returns the logits [N, V] that its tokens are drawn from
 */
function step(config: ModelConfig, shape: GenerationShape, rows: number, limited: boolean): Program {
  const { stepInto, languageHead, cacheShape } = architectureOf(config);
  const [, cacheHeads] = cacheShape(config, rows, shape.capacity);
  return {
    inputs: {},
    reads: [...Object.keys(parameterSpecs(config)), ...cacheNames(config), TABLE],
    ...(rows < shape.slots && { first: { [TABLE]: rows } }),
    run: (state) => {
      const ones = COLUMNS.map(() => 1);
      const parts = tf.split(state[TABLE]! as tf.Tensor2D, [...ones, 1, 1, 2 * QUEUED - 2], 1);
      const [token, position, last, live] = parts as [tf.Tensor2D, tf.Tensor2D, tf.Tensor2D, tf.Tensor2D];
      const settings = parts.slice(COLUMNS.length - SETTINGS.length, COLUMNS.length);
      const [draw, given, queue] = parts.slice(COLUMNS.length) as [tf.Tensor2D, tf.Tensor2D, tf.Tensor2D];
      const [temperature, least, topK, topP] = settings as [tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor];

      const ids = (x: tf.Tensor) => tf.cast(tf.reshape(x, [rows]), 'int32');
      const slots = tf.range(0, rows, 1, 'float32');
      // What an adapter makes of another one's sequence may not be finite.
      const isLive = config.adapter && tf.greater(live, 0);
      const indices = places(slots, cacheHeads, position);
      const next: Record<string, tf.Tensor> = {};
      const store = (layer: number, own: LayerCache) => {
        const kept = isLive ? whereStepping(isLive, own) : own;
        const write = (kind: keyof LayerCache) => {
          const name = `${kind}.${layer}`;
          const updates = tf.reshape(kept[kind], [indices.shape[0], -1]);
          const { updated } = updatedRows({ tensor: state[name]!, indices, updates }, {});
          next[name] = updated;
          return rows < shape.slots ? tf.slice(updated, 0, rows) : updated;
        };
        return { keys: write('keys'), values: write('values') };
      };
      const hidden = stepInto(config, state, ids(token), ids(position), shape.capacity, store);

      const logits = languageHead(config, state, hidden);
      const sampler = sampleOnDevice(logits, { temperature, least, topK, topP }, draw, limited);
      const drawnToken = tf.where(tf.greaterEqual(given, 0), given, sampler.tokens) as tf.Tensor2D;
      const logprob = sampler.logprobsOf(drawnToken);
      const further = tf.minimum(tf.add(position, 1), last);
      const drawn = tf.concat([drawnToken, further, last, live, ...settings, queue, drawnToken, logprob], 1);
      return {
        outputs: { logits },
        next,
        rows: { [TABLE]: { indices: tf.reshape(tf.range(0, rows, 1, 'int32'), [rows, 1]), updates: drawn } },
      };
    },
  };
}
