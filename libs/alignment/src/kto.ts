/** Kahneman-Tversky optimisation (Ethayarajh et al. 2024): learns from completions that are judged each by itself. */
import * as tf from '@tensorflow/tfjs';
import type { ResponseLogprobs } from './dpo.js';
import { AlignmentError } from './errors.js';
import { type Loss, maskedMean, type Normaliser } from './masked.js';

/**
 * The reference point of a batch: KL(pi, ref) as estimated from completions y' of other prompts, so that what is judged
 * does not count towards what it is judged against.
 *
 *   KL = max(0, mean over the batch of log pi(y'|x) - log ref(y'|x))
 *
 * @param logratios log pi(y'|x) - log ref(y'|x) of every row of the batch, summed over tokens
 * @throws AlignmentError ALIGNMENT_OPTION for an empty batch
 */
export function mismatchedKl(logratios: readonly number[]): number {
  if (logratios.length === 0)
    throw new AlignmentError('ALIGNMENT_OPTION', 'expected log-ratios to take the mean of, got none');
  return Math.max(0, logratios.reduce((sum, x) => sum + x, 0) / logratios.length);
}

export interface KtoBatch {
  /** y, one entry a row, [B]; differentiable. */
  responses: Pick<ResponseLogprobs, 'logps' | 'logratios'>;
  /** 1 for a desirable y, a thumb up; 0 for an undesirable one, [B]. */
  labels: tf.Tensor;
  /** `mismatchedKl` of the whole batch, a constant. */
  kl: number | tf.Scalar;
  /** beta, the weight of KL(pi, ref) in the objective. */
  beta: number;
  /** lambda_D, weight of the losses of desirable completions. */
  desirableWeight?: number;
  /** lambda_U, weight of the losses of undesirable completions. */
  undesirableWeight?: number;
  /** 1 for rows, 0 for those that only fill a micro-batch up, [B]; without it every row counts. */
  mask?: tf.Tensor;
  /** Rows of the whole batch. */
  normaliser: Normaliser;
}

/**
 * With s = log pi(y|x) - log ref(y|x), L is the mean over rows of
 *
 *   desirable    lambda_D (1 - sigma(beta (s - KL)))
 *   undesirable  lambda_U (1 - sigma(beta (KL - s)))
 *
 * beta KL is the z of the paper's first version, and KL that of later ones and of TRL.
 *
 * Statistics: `rewardsChosen` and `logpsChosen` are the implicit rewards beta s and log pi(y|x) of desirable rows,
 * `rewardsRejected` and `logpsRejected` those of undesirable ones. As sums over the rows of their kind divided by the
 * normaliser, they are shares of the batch's means.
 *
 * @throws AlignmentError ALIGNMENT_OPTION when beta is not positive or a weight is negative
 */
export function ktoLoss({
  responses: { logps, logratios },
  labels,
  kl,
  beta,
  desirableWeight = 1,
  undesirableWeight = 1,
  mask,
  normaliser,
}: KtoBatch): Loss<'rewardsChosen' | 'rewardsRejected' | 'logpsChosen' | 'logpsRejected'> {
  if (!(beta > 0)) throw new AlignmentError('ALIGNMENT_OPTION', `beta must be positive, got ${beta}`);
  if (!(desirableWeight >= 0 && undesirableWeight >= 0)) {
    throw new AlignmentError(
      'ALIGNMENT_OPTION',
      `weights must not be negative, got ${desirableWeight} and ${undesirableWeight}`,
    );
  }
  const undesirable = tf.sub(1, labels);
  const sign = tf.sub(labels, undesirable);
  const weights = tf.add(tf.mul(desirableWeight, labels), tf.mul(undesirableWeight, undesirable));
  // 1 - sigma(x) = sigma(-x), which keeps its digits where x is large.
  const losses = tf.mul(weights, tf.sigmoid(tf.mul(tf.mul(-beta, sign), tf.sub(logratios, kl))));

  const rewards = tf.mul(beta, logratios);
  const mean = (x: tf.Tensor) => maskedMean(x, mask, normaliser);
  return {
    loss: mean(losses),
    stats: {
      rewardsChosen: mean(tf.mul(labels, rewards)),
      rewardsRejected: mean(tf.mul(undesirable, rewards)),
      logpsChosen: mean(tf.mul(labels, logps)),
      logpsRejected: mean(tf.mul(undesirable, logps)),
    },
  };
}
