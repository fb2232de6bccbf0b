import * as tf from '@tensorflow/tfjs';

/**
 * log sigma(x) = -softplus(-x). tf.logSigmoid has the same value, but its gradient reads an input that the
 * end of the forward pass has disposed.
 */
export function logSigmoid<T extends tf.Tensor>(x: T): T {
  return tf.neg(tf.softplus(tf.neg(x)));
}
