/** What a softmax over the rows of a comparison gives: best of N, and the stages of PRO. */
import * as tf from '@tensorflow/tfjs';

/** Far below every difference of scores: e to its power is 0 in float32. */
const NONE = -1e30;

/**
 * Cross-entropy of each row against its rivals:
 *
 *   L_i = -log( exp(x_i) / (exp(x_i) + sum_{j rival of i} exp(x_j)) ) = log( 1 + sum_{j rival of i} exp(x_j - x_i) )
 *
 * It takes the differences, as the gradients of two rivals then are each other's negative to the bit: what all rows share,
 * such as a shift of all scores, gets a gradient of exactly 0, whose rounding error AdamW would scale up to whole steps.
 *
 * @param differences [N, N] x_j - x_i in row i, differentiable
 * @param rivals [N, N] above 0 where row j is a rival of row i; a row is none of its own
 * @returns [N], 0 for a row without rivals
 */
export function listwiseLosses(differences: tf.Tensor, rivals: tf.Tensor): tf.Tensor1D {
  const rows = differences.shape[0]!;
  const present = tf.where(tf.greater(rivals, 0), differences, tf.fill(differences.shape, NONE));
  const own = tf.zeros([rows, 1]);
  const logSoftmax = tf.logSoftmax(tf.concat([own, present], 1));
  return tf.neg(tf.reshape(tf.slice(logSoftmax, [0, 0], [rows, 1]), [rows]));
}
