import * as tf from '@tensorflow/tfjs';

/** A tensor of parameters with its gradient and moments, all of one shape. */
export interface AdamWVectors {
  p: tf.Tensor;
  g: tf.Tensor;
  /** First moment, zeros at the start. */
  m: tf.Tensor;
  /** Second moment, zeros at the start. */
  v: tf.Tensor;
}

/** Scalars that change from step to step are tensors, so that one compiled program serves every step. */
export interface AdamWOptions {
  lr: tf.Scalar;
  beta1: number;
  beta2: number;
  eps: number;
  weightDecay: number;
  /** 1 - beta1^t, see {@link biasCorrections}. */
  biasCorrection1: tf.Scalar;
  /** 1 - beta2^t. */
  biasCorrection2: tf.Scalar;
  /** The clip coefficient that the gradient is multiplied by. */
  gradScale: tf.Scalar;
}

/**
 * One step of Adam with decoupled weight decay (Loshchilov and Hutter 2019, algorithm 2):
 *
 *   g <- gradScale g,  p <- (1 - lr weightDecay) p
 *   m <- beta1 m + (1 - beta1) g,  v <- beta2 v + (1 - beta2) g^2
 *   p <- p - lr (m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + eps)
 *
 * @returns the new p, m and v
 */
export function adamw(
  { p, g, m, v }: AdamWVectors,
  { lr, beta1, beta2, eps, weightDecay, biasCorrection1, biasCorrection2, gradScale }: AdamWOptions,
): { p: tf.Tensor; m: tf.Tensor; v: tf.Tensor } {
  const grad = tf.mul(g, gradScale);
  const newM = tf.add(tf.mul(beta1, m), tf.mul(1 - beta1, grad));
  const newV = tf.add(tf.mul(beta2, v), tf.mul(1 - beta2, tf.square(grad)));

  const denominator = tf.add(tf.sqrt(tf.div(newV, biasCorrection2)), eps);
  const update = tf.div(tf.mul(tf.div(lr, biasCorrection1), newM), denominator);
  return { p: tf.sub(decayed(p, lr, weightDecay), update), m: newM, v: newV };
}

/**
 * 1 - beta1^t and 1 - beta2^t, in float64.
 *
 * @param step t, the first step is 1
 */
export function biasCorrections(
  step: number,
  { beta1, beta2 }: { beta1: number; beta2: number },
): { biasCorrection1: number; biasCorrection2: number } {
  return { biasCorrection1: 1 - beta1 ** step, biasCorrection2: 1 - beta2 ** step };
}

function decayed(p: tf.Tensor, lr: tf.Scalar, weightDecay: number): tf.Tensor {
  if (weightDecay === 0) return p;
  return tf.mul(p, tf.sub(1, tf.mul(lr, weightDecay)));
}
