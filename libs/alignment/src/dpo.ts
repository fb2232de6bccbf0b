/** Direct preference optimisation (Rafailov et al. 2023) and the losses of its family. */
import * as tf from '@tensorflow/tfjs';
import { pairAccuracy } from './accuracy.js';
import { AlignmentError } from './errors.js';
import { logSigmoid } from './log-sigmoid.js';
import { type Loss, maskedMean, type Normaliser, pairwiseSum, zeroOutside } from './masked.js';

/** What a preference loss needs of one side of its pairs, one entry per pair, [B]. */
export interface ResponseLogprobs {
  /** sum_t lp_pi. */
  logps: tf.Tensor;
  /** s = sum_t (lp_pi - lp_ref). */
  logratios: tf.Tensor;
  /** |y|, response tokens. */
  lengths: tf.Tensor;
}

/**
 * Sums the log-probs of responses over their tokens. Policy and reference are subtracted token by token
 * first: their sums over thousands of tokens are so large that the difference of two float32 sums can have
 * the wrong sign.
 *
 * @param logprobs [B, T] log pi of each token, differentiable
 * @param refLogprobs [B, T] log ref of each token
 * @param mask [B, T] 1 for response tokens, 0 for prompt and padding
 */
export function responseLogprobs({
  logprobs,
  refLogprobs,
  mask,
}: {
  logprobs: tf.Tensor;
  refLogprobs: tf.Tensor;
  mask: tf.Tensor;
}): ResponseLogprobs {
  return {
    logps: pairwiseSum(zeroOutside(logprobs, mask)),
    logratios: pairwiseSum(zeroOutside(tf.sub(logprobs, refLogprobs), mask)),
    lengths: tf.sum(mask, -1),
  };
}

export interface DpoBatch {
  /** y_w, differentiable. */
  chosen: ResponseLogprobs;
  /** y_l, differentiable. */
  rejected: ResponseLogprobs;
  /** beta, the weight of KL(pi, ref) in the objective that DPO solves. */
  beta: number;
  lossType?: DpoLossType;
  /**
   * e, the chance that a label is flipped: one number in [0, .5), or one per pair [B] for labels that are
   * themselves probabilities. Used by sigmoid and robust.
   */
  labelSmoothing?: number | tf.Tensor;
  /** 1 for pairs, 0 for rows that only fill a micro-batch up, [B]; without it every row is a pair. */
  mask?: tf.Tensor;
  /** Pairs of the whole batch. */
  normaliser: Normaliser;
}

/** One of {@link dpoLossTypes}. */
export type DpoLossType = keyof typeof dpoLossTypes;

/**
 * L = mean over pairs of the loss type's losses, which depend on s = sum_t (lp_pi - lp_ref) of a response and
 * Delta = s_w - s_l.
 *
 * Statistics, means over pairs, with the implicit reward beta s: `rewardsChosen`, `rewardsRejected`,
 * `rewardsAccuracies` (chosen > rejected, a tie one half), `rewardsMargins`, `logpsChosen`, `logpsRejected`.
 *
 * @throws AlignmentError ALIGNMENT_OPTION when beta or the label smoothing is out of range
 */
export function dpoLoss({
  chosen,
  rejected,
  beta,
  lossType = 'sigmoid',
  labelSmoothing = 0,
  mask,
  normaliser,
}: DpoBatch): Loss<
  | 'rewardsChosen'
  | 'rewardsRejected'
  | 'rewardsAccuracies'
  | 'rewardsMargins'
  | 'logpsChosen'
  | 'logpsRejected'
> {
  if (!(beta > 0)) throw new AlignmentError('ALIGNMENT_OPTION', `beta must be positive, got ${beta}`);
  if (typeof labelSmoothing === 'number' && !(labelSmoothing >= 0 && labelSmoothing < 0.5)) {
    throw new AlignmentError(
      'ALIGNMENT_OPTION',
      `label smoothing must lie in [0, 0.5), got ${labelSmoothing}`,
    );
  }
  const losses = dpoLossTypes[lossType]({
    chosen,
    rejected,
    delta: tf.sub(chosen.logratios, rejected.logratios),
    beta,
    labelSmoothing,
  });

  const rewardsChosen = tf.mul(beta, chosen.logratios);
  const rewardsRejected = tf.mul(beta, rejected.logratios);
  const mean = (x: tf.Tensor) => maskedMean(x, mask, normaliser);
  return {
    loss: mean(losses),
    stats: {
      rewardsChosen: mean(rewardsChosen),
      rewardsRejected: mean(rewardsRejected),
      rewardsAccuracies: mean(pairAccuracy(rewardsChosen, rewardsRejected)),
      rewardsMargins: mean(tf.sub(rewardsChosen, rewardsRejected)),
      logpsChosen: mean(chosen.logps),
      logpsRejected: mean(rejected.logps),
    },
  };
}

interface Pairs {
  chosen: ResponseLogprobs;
  rejected: ResponseLogprobs;
  /** Delta = s_w - s_l, [B]. */
  delta: tf.Tensor;
  beta: number;
  labelSmoothing: number | tf.Tensor;
}

/** Each loss type maps pairs to their losses [B]; a further member of the family is a further entry. */
export const dpoLossTypes = {
  /** -(1 - e) log sigma(beta Delta) - e log sigma(-beta Delta): DPO; with e > 0 cDPO (Mitchell 2023). */
  sigmoid: ({ delta, beta, labelSmoothing: e }: Pairs) => {
    const x = tf.mul(beta, delta);
    if (e === 0) return tf.neg(logSigmoid(x));
    return tf.neg(tf.add(tf.mul(tf.sub(1, e), logSigmoid(x)), tf.mul(e, logSigmoid(tf.neg(x)))));
  },

  /**
   * [-(1 - e) log sigma(beta Delta) + e log sigma(-beta Delta)] / (1 - 2e), unbiased when labels are flipped
   * (Chowdhury et al. 2024).
   */
  robust: ({ delta, beta, labelSmoothing: e }: Pairs) => {
    const x = tf.mul(beta, delta);
    const straight = tf.mul(tf.sub(1, e), logSigmoid(x));
    const flipped = tf.mul(e, logSigmoid(tf.neg(x)));
    return tf.div(tf.sub(flipped, straight), tf.sub(1, tf.mul(2, e)));
  },

  /** max(0, 1 - beta Delta) (Zhao et al. 2023, SLiC). */
  hinge: ({ delta, beta }: Pairs) => tf.relu(tf.sub(1, tf.mul(beta, delta))),

  /** (s_w / |y_w| - s_l / |y_l| - 1 / (2 beta))^2 (Azar et al. 2023, averaged over tokens as TRL has it). */
  ipo: ({ chosen, rejected, beta }: Pairs) => {
    const perToken = ({ logratios, lengths }: ResponseLogprobs) => tf.div(logratios, tf.maximum(lengths, 1));
    return tf.squaredDifference(tf.sub(perToken(chosen), perToken(rejected)), 1 / (2 * beta));
  },

  /** (Delta - 1 / (2 beta))^2 (Azar et al. 2023, equation 17). */
  ipo_sum: ({ delta, beta }: Pairs) => tf.squaredDifference(delta, 1 / (2 * beta)),
} satisfies Record<string, (pairs: Pairs) => tf.Tensor>;
