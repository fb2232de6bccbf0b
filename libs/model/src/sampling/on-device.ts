/**
 * Draws tokens within a program, so that the logits stay where they are computed: what `sampler.ts` draws on the host, for
 * rows of which each has settings of its own. All numbers are float32, ids too: TensorFlow computes with int32 on the host.
 *
 * Shapes: N rows, V vocabulary.
 */
import * as tf from '@tensorflow/tfjs';
import { type SamplingOptions, softmaxTemperature } from './sampler.js';

/** The settings of a row in the order of their columns. */
export const SETTINGS = ['temperature', 'least', 'topK', 'topP'] as const;
export type DeviceSettings = Readonly<Record<(typeof SETTINGS)[number], number>>;

/** Most logits are far less than 2^27: divided by no less than this, their differences stay finite. */
const LEAST_TEMPERATURE = 2 ** -100;

/**
 * What programs take for the options of a request. `least`: how far below the greatest logit a token may be, at temperature 0
 * not at all.
 */
export function deviceSettings(options: SamplingOptions): DeviceSettings {
  const { temperature, topK = 0, topP = 1 } = options;
  const isGreedy = temperature === 0;
  return {
    temperature: Math.max(LEAST_TEMPERATURE, softmaxTemperature(options)),
    least: isGreedy ? 0 : Number.NEGATIVE_INFINITY,
    topK: isGreedy || topK === 0 ? OFF : topK,
    // What is off lets the last token in, too, whatever the sum of the probabilities is rounded to.
    topP: isGreedy || topP === 1 ? OFF : topP,
  };
}
const OFF = 2 ** 22;

/** Whether top-k or top-p limits what is drawn. */
export const isLimited = ({ topK, topP }: DeviceSettings): boolean => topK < OFF || topP < OFF;

/**
 * A draw from [0, 1) as float32, cut off after 24 bits: rounded, it could become 1. At temperature 0 it is 0, which takes
 * the first of equals.
 */
export const deviceDraw = ({ temperature }: SamplingOptions, u: number): number =>
  temperature === 0 ? 0 : Math.floor(u * 2 ** 24) / 2 ** 24;

export interface DeviceSampler {
  /** Ids [N, 1] of the tokens drawn; any ids where not all logits of a row are finite. */
  readonly tokens: tf.Tensor2D;
  /** Log-probs [N, 1] of tokens [N, 1], as `SampledToken` has them; NaN where not all logits of a row are finite. */
  logprobsOf(tokens: tf.Tensor2D): tf.Tensor2D;
}

/**
 * The tokens, in order of ids, at which the cumulative probability passes the draw.
 * @param logits [N, V]
 * @param settings [N, 1] each
 * @param draws [N, 1], from `deviceDraw`
 * @param limited whether top-k and top-p count: without them nothing is sorted
 */
export function sampleOnDevice(
  logits: tf.Tensor2D,
  settings: Readonly<Record<keyof DeviceSettings, tf.Tensor>>,
  draws: tf.Tensor,
  limited: boolean,
): DeviceSampler {
  const V = logits.shape[1];
  const below = tf.sub(logits, tf.max(logits, 1, true));
  const scaled = tf.div(below, settings.temperature) as tf.Tensor2D;
  const weights = tf.exp(scaled) as tf.Tensor2D;
  const logTotal = tf.log(tf.sum(weights, 1, true));
  const mostLikely = truth(tf.greaterEqual(below, settings.least));
  const mask = limited ? tf.mul(mostLikely, restriction(weights, settings)) : mostLikely;
  const cumulative = tf.cumsum(tf.mul(weights, mask), 1);
  // Sums in parallel may differ in their last bits where nothing is added: what top-k and top-p leave out stays out.
  const reachable = limited ? tf.mul(cumulative, mask) : cumulative;
  // A draw is less than 1 by 2^-24 at least, and the product less than the total: some token is behind it.
  const target = tf.mul(tf.max(reachable, 1, true), draws);
  const isBehind = truth(tf.greater(reachable, target));
  const first = tf.max(tf.mul(isBehind, tf.range(V, 0, -1, 'float32')), 1, true);
  return {
    tokens: tf.minimum(tf.sub(V, first), V - 1) as tf.Tensor2D,
    logprobsOf: (tokens) => tf.sub(at(scaled, tokens), logTotal) as tf.Tensor2D,
  };
}

/**
 * 1 for the tokens in top-k and top-p and 0 for the others, [N, V]. Of weights [N, V] in descending order as many count as
 * are kept; the last of them is a threshold, and of those equal to it the lowest ids are taken.
 */
function restriction(
  weights: tf.Tensor2D,
  { topK, topP }: Readonly<Record<'topK' | 'topP', tf.Tensor>>,
): tf.Tensor {
  const V = weights.shape[1];
  const { values: ranked } = tf.topk(weights, V);
  const inTopK = truth(tf.less(tf.range(0, V, 1, 'float32'), topK));
  const best = tf.mul(ranked, inTopK);
  const before = tf.cumsum(best, 1, true);
  const inTopP = truth(tf.less(before, tf.mul(tf.sum(best, 1, true), topP)));
  const count = tf.sum(tf.mul(inTopK, inTopP), 1, true) as tf.Tensor2D;
  // None is kept of a row that is not finite.
  const last = tf.maximum(tf.sub(count, 1), 0) as tf.Tensor2D;
  const threshold = at(ranked as tf.Tensor2D, last);
  const above = truth(tf.greater(weights, threshold));
  const equal = truth(tf.equal(weights, threshold));
  const ofEqual = truth(tf.lessEqual(tf.cumsum(equal, 1), tf.sub(count, tf.sum(above, 1, true))));
  return tf.add(above, tf.mul(equal, ofEqual));
}

const truth = (condition: tf.Tensor): tf.Tensor => tf.cast(condition, 'float32');

/** The numbers [N, 1] of rows [N, V] in the given columns [N, 1]. */
function at(values: tf.Tensor2D, columns: tf.Tensor2D): tf.Tensor2D {
  const [N] = values.shape;
  const rows = tf.reshape(tf.range(0, N, 1, 'float32'), [N, 1]) as tf.Tensor2D;
  const places = tf.cast(tf.concat([rows, columns], 1), 'int32');
  return tf.reshape(tf.gatherND(values, places), [N, 1]);
}
