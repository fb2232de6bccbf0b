/** The heads that models of any architecture have. */
import * as tf from '@tensorflow/tfjs';
import type { Parameters } from '../architecture.js';

/** Logits [N, V] of hidden states [N, D] by an output matrix [V, D]. */
export const logits = (hidden: tf.Tensor2D, output: tf.Tensor): tf.Tensor2D =>
  tf.matMul(hidden, output as tf.Tensor2D, false, true);

/** One number for each hidden state [N, D]: a reward or a value, [N]. */
export function scalarHead(_config: unknown, p: Parameters, hidden: tf.Tensor2D): tf.Tensor1D {
  const score = p['score.weight'] as tf.Tensor2D;
  return tf.reshape(tf.matMul(hidden, score, false, true), [hidden.shape[0]]);
}
