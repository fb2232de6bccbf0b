/** Proximal policy optimisation (Schulman et al. 2017). All tensors are [B, T], padding is masked. */
import * as tf from '@tensorflow/tfjs';
import { indicator, type Loss, maskedMean, type Normaliser, zeroOutside } from './masked.js';

export interface PpoPolicyBatch {
  /** log pi of each response token, differentiable. */
  logprobs: tf.Tensor;
  /** log pi_old: the same tokens under the policy that generated them; with `weights`, log pi_prox. */
  oldLogprobs: tf.Tensor;
  /** A, a constant. */
  advantages: tf.Tensor;
  /** w, the constant weight of each token. Default 1. */
  weights?: tf.Tensor;
  /** 1 for response tokens, 0 for padding. */
  mask: tf.Tensor;
  /** eps, how far rho may leave 1. */
  cliprange: number;
  /** How far above 1, where that differs: "clip-higher" (Yu et al. 2025, DAPO). Default: cliprange. */
  cliprangeHigh?: number | undefined;
  /** Response tokens of the whole batch. */
  normaliser: Normaliser;
}

/**
 * The clipped surrogate objective, negated (equation 7):
 *
 *   rho_t = exp(log pi(a_t) - log pi_old(a_t))
 *   L = mean_m max(-A_t rho_t, -A_t clip(rho_t, 1 - eps, 1 + eps))
 *
 * With `weights` it is the decoupled objective of Hilton et al. 2022 for rollouts of an older policy: pi_old is then
 * pi_prox, the policy as the update begins, and each token has the weight w_t = pi_prox(a_t) / pi_behav(a_t), truncated
 * (`truncatedImportanceWeights`): L = mean_m w_t max(...). On-policy the two objectives are the same.
 *
 * Statistics, means over the mask: `clipfrac`, where the clipped term is the larger; `approxKl`, of
 * (log rho)^2 / 2; `ratio`, of rho.
 */
export function ppoPolicyLoss({
  logprobs,
  oldLogprobs,
  advantages: A,
  weights: w,
  mask,
  cliprange: eps,
  cliprangeHigh: epsHigh = eps,
  normaliser,
}: PpoPolicyBatch): Loss<'clipfrac' | 'approxKl' | 'ratio'> {
  const logratio = zeroOutside(tf.sub(logprobs, oldLogprobs), mask);
  const rho = tf.exp(logratio);

  const unclipped = tf.neg(tf.mul(A, rho));
  const clipped = tf.neg(tf.mul(A, tf.clipByValue(rho, 1 - eps, 1 + epsHigh)));

  const mean = (x: tf.Tensor) => maskedMean(x, mask, normaliser);
  const surrogate = tf.maximum(unclipped, clipped);
  return {
    loss: mean(w === undefined ? surrogate : tf.mul(w, surrogate)),
    stats: {
      clipfrac: mean(indicator(tf.greater(clipped, unclipped))),
      approxKl: mean(tf.div(tf.square(logratio), 2)),
      ratio: mean(rho),
    },
  };
}

export interface PpoValueBatch {
  /** V, differentiable. */
  values: tf.Tensor;
  /** V_old, the values that the advantages were computed from. */
  oldValues: tf.Tensor;
  /** R, the targets: A + V_old before whitening. */
  returns: tf.Tensor;
  /** 1 where a value is trained, 0 for padding. */
  mask: tf.Tensor;
  /** eps_v, how far V may leave V_old. */
  cliprangeValue: number;
  /** Ones in the mask of the whole batch. */
  normaliser: Normaliser;
}

/**
 * The clipped value loss, to be added to the policy's with the weight vf_coef (equation 9's L^VF, clipped as
 * in the paper's code):
 *
 *   V_clip = clip(V, V_old - eps_v, V_old + eps_v)
 *   L = 0.5 mean_m max((V - R)^2, (V_clip - R)^2)
 *
 * Statistics: `clipfrac`, the share of the mask where the clipped term is the larger.
 */
export function ppoValueLoss({
  values: V,
  oldValues: V_old,
  returns: R,
  mask,
  cliprangeValue: eps,
  normaliser,
}: PpoValueBatch): Loss<'clipfrac'> {
  const V_clip = tf.minimum(tf.maximum(V, tf.sub(V_old, eps)), tf.add(V_old, eps));

  const unclipped = tf.squaredDifference(V, R);
  const clipped = tf.squaredDifference(V_clip, R);

  return {
    loss: tf.mul(0.5, maskedMean(tf.maximum(unclipped, clipped), mask, normaliser)),
    stats: { clipfrac: maskedMean(indicator(tf.greater(clipped, unclipped)), mask, normaliser) },
  };
}
