import * as tf from '@tensorflow/tfjs';
import { type Loss, maskedMean, type Normaliser } from './masked.js';

export interface ValueBatch {
  /** V, differentiable. */
  values: tf.Tensor;
  /** The returns that were seen from there on, constants. */
  returns: tf.Tensor;
  /** 1 where a value is trained, 0 for padding; other numbers weight. */
  mask: tf.Tensor;
  /** Ones in the mask of the whole batch. */
  normaliser: Normaliser;
}

/** The loss of a value function: L = 0.5 mean_m (V - R)^2, whose minimum is the mean of the returns from each state on. */
export const valueLoss = ({ values: V, returns: R, mask, normaliser }: ValueBatch): Loss<never> => ({
  loss: tf.mul(0.5, maskedMean(tf.squaredDifference(V, R), mask, normaliser)),
  stats: {},
});
