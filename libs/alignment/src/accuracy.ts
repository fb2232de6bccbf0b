import * as tf from '@tensorflow/tfjs';
import { indicator } from './masked.js';

/**
 * Whether each pair is ordered rightly: 1 where the chosen response has more, 0 where the rejected one has. A tie is
 * one half, as in an area under a ROC curve: who tells no pair apart, a new scoring head or a policy that is still
 * its reference, is right half the time and not never.
 *
 * @param chosen [B] scores or implicit rewards
 * @param rejected [B]
 * @returns [B]
 */
export function pairAccuracy(chosen: tf.Tensor, rejected: tf.Tensor): tf.Tensor {
  const above = indicator(tf.greater(chosen, rejected));
  const notBelow = indicator(tf.greaterEqual(chosen, rejected));
  return tf.div(tf.add(above, notBelow), 2);
}
