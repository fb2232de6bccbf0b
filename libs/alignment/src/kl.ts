/** KL(pi, ref): estimators from samples (Schulman, "Approximating KL divergence") and the exact value. */
import * as tf from '@tensorflow/tfjs';
import { type Loss, maskedMean, type Normaliser, zeroOutside } from './masked.js';

/** k1 is unbiased but varies much, k2 biased and varies little, k3 unbiased, never negative, varies little. */
export type KlEstimator = 'k1' | 'k2' | 'k3';

/**
 * One token's estimate of KL(pi, ref), in nats, for a token drawn from pi; d = lp - rp:
 *
 *   k1 = d,  k2 = d^2 / 2,  k3 = exp(-d) - 1 + d
 */
export function klEstimate(estimator: KlEstimator, logprob: number, refLogprob: number): number {
  const d = logprob - refLogprob;
  switch (estimator) {
    case 'k1':
      return d;
    case 'k2':
      return (d * d) / 2;
    case 'k3':
      return Math.expm1(-d) + d;
  }
}

/** {@link klEstimate} over tensors of one shape; differentiable in both. */
export function klEstimates(estimator: KlEstimator, logprobs: tf.Tensor, refLogprobs: tf.Tensor): tf.Tensor {
  const d = tf.sub(logprobs, refLogprobs);
  switch (estimator) {
    case 'k1':
      return d;
    case 'k2':
      return tf.div(tf.square(d), 2);
    case 'k3':
      return tf.add(tf.sub(tf.exp(tf.neg(d)), 1), d);
  }
}

export interface KlLossBatch {
  /** log pi of each response token, differentiable. */
  logprobs: tf.Tensor;
  /** The same tokens under the frozen reference, constants. */
  refLogprobs: tf.Tensor;
  /** The constant weight of each token. Default 1. */
  weights?: tf.Tensor | undefined;
  /** 1 for response tokens, 0 for padding. */
  mask: tf.Tensor;
  estimator: 'k2' | 'k3';
  normaliser: Normaliser;
}

/**
 * KL from the reference as a term of the loss, for tokens drawn from pi: L = mean_m w k(log pi, log ref).
 *
 * What counts is the gradient, in expectation over the tokens drawn:
 *
 *   k2  E[(log pi - log ref) grad log pi], which is the gradient of KL(pi, ref)
 *   k3  E[(1 - ref / pi) grad log pi] = -E_ref[grad log pi], which is the gradient of KL(ref, pi): another objective,
 *       that of Shao et al. 2024
 *   k1  E[grad log pi] = 0: it would hold nothing back, so that it is no choice here
 */
export function klLoss({
  logprobs,
  refLogprobs,
  weights,
  mask,
  estimator,
  normaliser,
}: KlLossBatch): Loss<never> {
  const kl = klEstimates(estimator, zeroOutside(logprobs, mask), zeroOutside(refLogprobs, mask));
  return { loss: maskedMean(weights === undefined ? kl : tf.mul(weights, kl), mask, normaliser), stats: {} };
}

/**
 * Exact KL(pi, ref) = sum_v pi_v (log pi_v - log ref_v), in nats.
 *
 * @param logits [..., V] of pi
 * @param refLogits [..., V] of ref
 * @returns [...]
 */
export function categoricalKl(logits: tf.Tensor, refLogits: tf.Tensor): tf.Tensor {
  const logp = tf.logSoftmax(logits);
  return tf.sum(tf.mul(tf.exp(logp), tf.sub(logp, tf.logSoftmax(refLogits))), -1);
}
