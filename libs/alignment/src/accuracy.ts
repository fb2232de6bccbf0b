import * as tf from '@tensorflow/tfjs';
import { indicator } from './masked.js';

/**
 * Accuracy of each pair: 1 where the chosen response has the higher score, 0 where the rejected one has. A tie counts
 * one half, as in the area under a ROC curve, so that a scorer that tells no pair apart (a new head, a policy that still
 * equals its reference) has the accuracy of chance.
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
