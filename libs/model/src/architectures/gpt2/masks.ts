import * as tf from '@tensorflow/tfjs';

/** Added to the attention score of a position that is not attended to. */
const MASKED = -1e9;

/** [T, T]: 0 where query i may see key j <= i. */
export function causalMask(T: number): tf.Tensor2D {
  const mask = new Float32Array(T * T);
  for (let i = 0; i < T; i++) mask.fill(MASKED, i * T + i + 1, (i + 1) * T);
  return tf.tensor2d(mask, [T, T]);
}

/** [B, 1, 1, C]: 0 at the first `positions[b]` entries of a cache. */
export function pastMask(positions: tf.Tensor, C: number): tf.Tensor {
  const B = positions.shape[0]!;
  const empty = tf.greaterEqual(tf.range(0, C, 1, 'int32'), tf.reshape(positions, [B, 1]));
  return tf.reshape(tf.mul(tf.cast(empty, 'float32'), MASKED), [B, 1, 1, C]);
}
