/** KL(pi, ref): estimators from samples (Schulman, "Approximating KL divergence") and the exact value. */
import * as tf from '@tensorflow/tfjs';

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
