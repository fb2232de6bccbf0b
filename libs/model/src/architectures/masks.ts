/** Which positions a token does not attend to. A window w lets it see itself and the w - 1 tokens before it. */
import * as tf from '@tensorflow/tfjs';
import type { LayerCache } from '../architecture.js';

/** Added to the attention score of a position that is not attended to. */
const MASKED = -1e9;

/** [T, T]: 0 where query i may see key j, i - window < j <= i. */
export function causalMask(T: number, window = T): tf.Tensor2D {
  const mask = new Float32Array(T * T);
  for (let i = 0; i < T; i++) {
    mask.fill(MASKED, i * T, i * T + Math.max(0, i - window + 1));
    mask.fill(MASKED, i * T + i + 1, (i + 1) * T);
  }
  return tf.tensor2d(mask, [T, T]);
}

/**
 * [B, 1, T or 1, C]: 0 at those of the first `positions[b]` entries of a cache that the token at `positions[b] + t` may see.
 */
export function pastMasks(positions: tf.Tensor, T: number, C: number, window?: number): tf.Tensor {
  if (window === undefined || window > C + T) return pastMask(positions, C);
  const B = positions.shape[0]!;
  const entries = tf.range(0, C, 1, 'int32');
  const own = tf.add(tf.reshape(positions, [B, 1, 1]), tf.reshape(tf.range(0, T, 1, 'int32'), [1, T, 1]));
  const unseen = tf.logicalOr(
    tf.greaterEqual(entries, tf.reshape(positions, [B, 1, 1])),
    tf.lessEqual(entries, tf.sub(own, tf.scalar(window, 'int32'))),
  );
  return tf.reshape(tf.mul(tf.cast(unseen, 'float32'), MASKED), [B, 1, T, C]);
}

/** [B, 1, 1, C]: 0 at those of the first `positions[b]` entries of a cache that the token at `positions[b]` may see. */
export function pastMask(positions: tf.Tensor, C: number, window = C + 1): tf.Tensor {
  const B = positions.shape[0]!;
  // As float32, in which positions are as exact: a device may have no arithmetic of int32.
  const entries = tf.range(0, C, 1, 'float32');
  const each = tf.reshape(tf.cast(positions, 'float32'), [B, 1]);
  const empty = tf.greaterEqual(entries, each);
  const unseen = window > C ? empty : tf.logicalOr(empty, tf.lessEqual(entries, tf.sub(each, window)));
  return tf.reshape(tf.mul(tf.cast(unseen, 'float32'), MASKED), [B, 1, 1, C]);
}

/** [B, 1, 1, C]: 0 at those entries of a cache that the token at `positions[b]` may see, its own among them. */
export const cacheMask = (positions: tf.Tensor, C: number, window?: number): tf.Tensor =>
  pastMask(tf.add(tf.cast(positions, 'float32'), 1), C, window === undefined ? undefined : window + 1);

/** Attention of one token a row, q [B, H, R, K], to all that its cache has: keys and values [B, H, C, K] -> [B, H, R, K]. */
export const attendToCache = (q: tf.Tensor, { keys, values }: LayerCache, mask: tf.Tensor): tf.Tensor =>
  tf.matMul(tf.softmax(tf.add(tf.matMul(q, keys, false, true), mask)), values);
