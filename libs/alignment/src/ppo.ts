/** Proximal policy optimisation (Schulman et al. 2017). All tensors are [B, T], padding is masked. */
import * as tf from '@tensorflow/tfjs';
import { AlignmentError } from './errors.js';
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
  /** Response tokens of the whole batch. */
  normaliser: Normaliser;
}

export interface PpoClipBatch extends PpoPolicyBatch {
  /** eps, how far rho may leave 1. */
  cliprange: number;
  /** eps_high, how far rho may rise above 1. Default: eps. */
  cliprangeHigh?: number | undefined;
  /** c, above 1: where A is negative, the objective is at least c A. Default: no bound. */
  dualClip?: number | undefined;
}

/**
 * The clipped surrogate objective, negated (equation 7):
 *
 *   rho_t = exp(log pi(a_t) - log pi_old(a_t))
 *   L = mean_m max(-A_t rho_t, -A_t clip(rho_t, 1 - eps, 1 + eps_high))
 *
 * An eps_high above eps, which the paper has equal, lets unlikely tokens grow (clip-higher, Yu et al. 2025). `dualClip`
 * bounds what a token with negative A that the policy has made far more likely can push: the objective there is
 * max(min(rho A, clip(rho) A), c A) (Ye et al. 2020, equation 5).
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
  dualClip: c,
  normaliser,
}: PpoClipBatch): Loss<'clipfrac' | 'approxKl' | 'ratio'> {
  const logratio = zeroOutside(tf.sub(logprobs, oldLogprobs), mask);
  const rho = tf.exp(logratio);

  const unclipped = tf.neg(tf.mul(A, rho));
  const clipped = tf.neg(tf.mul(A, tf.clipByValue(rho, 1 - eps, 1 + epsHigh)));

  const mean = (x: tf.Tensor) => maskedMean(x, mask, normaliser);
  const pessimistic = tf.maximum(unclipped, clipped);
  const surrogate =
    c === undefined
      ? pessimistic
      : tf.where(tf.less(A, 0), tf.minimum(pessimistic, tf.neg(tf.mul(c, A))), pessimistic);
  return {
    loss: mean(w === undefined ? surrogate : tf.mul(w, surrogate)),
    stats: {
      clipfrac: mean(indicator(tf.greater(clipped, unclipped))),
      approxKl: mean(tf.div(tf.square(logratio), 2)),
      ratio: mean(rho),
    },
  };
}

export interface PpoPenaltyBatch extends PpoPolicyBatch {
  /** beta, the weight of the KL. */
  beta: number | tf.Scalar;
}

/**
 * The surrogate objective with a penalty on the KL from the old policy, negated (Schulman et al. 2017, equation 8):
 *
 *   L = mean_m w_t (-A_t rho_t + beta KL_t),  KL_t = rho_t - 1 - log rho_t
 *
 * KL_t estimates KL(pi_old, pi) from tokens that pi_old drew. It is k3 of pi_old and pi: E_old[rho - 1] = 0 whatever pi
 * is, so that value and gradient are in expectation those of E_old[-log rho] = KL(pi_old, pi), and no sample is negative.
 * (log rho)^2 / 2 has neither the value nor the gradient, but near rho = 1.
 *
 * Statistics, means over the mask: `kl`, of w_t KL_t; `approxKl`, of (log rho)^2 / 2; `ratio`, of rho.
 */
export function ppoPenaltyLoss({
  logprobs,
  oldLogprobs,
  advantages: A,
  weights: w,
  mask,
  beta,
  normaliser,
}: PpoPenaltyBatch): Loss<'kl' | 'approxKl' | 'ratio'> {
  const logratio = zeroOutside(tf.sub(logprobs, oldLogprobs), mask);
  const rho = tf.exp(logratio);

  const mean = (x: tf.Tensor) => maskedMean(x, mask, normaliser);
  const weighted = (x: tf.Tensor) => mean(w === undefined ? x : tf.mul(w, x));
  const kl = weighted(tf.sub(tf.sub(rho, 1), logratio));
  return {
    loss: tf.add(tf.neg(weighted(tf.mul(A, rho))), tf.mul(beta, kl)),
    stats: { kl, approxKl: mean(tf.div(tf.square(logratio), 2)), ratio: mean(rho) },
  };
}

/**
 * beta for the next batch, by KL(pi_old, pi) after the updates of this one (Schulman et al. 2017, section 4):
 *
 *   KL < target / 1.5  =>  beta / 2,  KL > 1.5 target  =>  2 beta
 *
 * @throws AlignmentError ALIGNMENT_NOT_FINITE on a KL that is not a number
 */
export function adaptPenalty(
  beta: number,
  { kl, target }: { readonly kl: number; readonly target: number },
): number {
  if (!Number.isFinite(kl))
    throw new AlignmentError('ALIGNMENT_NOT_FINITE', `expected a finite KL, got ${kl}`);
  if (kl < target / 1.5) return beta / 2;
  return kl > 1.5 * target ? 2 * beta : beta;
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
