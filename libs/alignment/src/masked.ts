import * as tf from '@tensorflow/tfjs';
import { AlignmentError } from './errors.js';

/**
 * The tokens, sequences or pairs of the *whole* batch. A loss divides its sum by it, so that the losses,
 * statistics and gradients of micro-batches add up to those of the batch they were cut from.
 */
export type Normaliser = number | tf.Scalar;

/** A loss to minimise, and statistics that, like it, are sums over the rows divided by the normaliser. */
export interface Loss<Stat extends string> {
  loss: tf.Scalar;
  stats: Record<Stat, tf.Scalar>;
}

/**
 * sum_t m_t x_t / normaliser: the mean of x over the mask when the normaliser is the batch's count of ones.
 *
 * @param x any shape, finite under a zero of the mask too
 * @param mask x's shape, 1 for what counts and 0 for padding; undefined when everything counts
 * @throws AlignmentError ALIGNMENT_OPTION on a normaliser that is not positive
 */
export function maskedMean(x: tf.Tensor, mask: tf.Tensor | undefined, normaliser: Normaliser): tf.Scalar {
  if (typeof normaliser === 'number' && !(normaliser > 0)) {
    throw new AlignmentError('ALIGNMENT_OPTION', `the normaliser counts tokens or rows, got ${normaliser}`);
  }
  return tf.div(tf.sum(mask === undefined ? x : tf.mul(x, mask)), normaliser);
}

/**
 * x where the mask is 1, else 0: whatever stands in padding, infinities included, neither counts nor gets a
 * gradient.
 */
export function zeroOutside<T extends tf.Tensor>(x: T, mask: tf.Tensor): T {
  return tf.where(tf.greater(mask, 0), x, tf.zerosLike(x));
}

/**
 * Sums the last axis in blocks of 32, then the blocks' sums in the same way, so that the float32 rounding
 * error grows with log(T) and not with T: over thousands of tokens a running sum loses what a preference pair
 * is decided by.
 *
 * @param x [B, T]
 * @returns [B]
 */
export function pairwiseSum(x: tf.Tensor): tf.Tensor1D {
  const block = 32;
  const [rows, length] = x.shape as [number, number];
  if (length <= block) return tf.sum(x, -1);
  const padding = (block - (length % block)) % block;
  const blocks = (length + padding) / block;
  const padded =
    padding === 0
      ? x
      : tf.pad(x, [
          [0, 0],
          [0, padding],
        ]);
  return pairwiseSum(tf.sum(tf.reshape(padded, [rows, blocks, block]), -1));
}

/** 1 where the condition holds, else 0. */
export function indicator(condition: tf.Tensor): tf.Tensor {
  return tf.cast(condition, 'float32');
}
