import * as tf from '@tensorflow/tfjs';
import { pairAccuracy } from './accuracy.js';
import { AlignmentError } from './errors.js';
import { logSigmoid } from './log-sigmoid.js';
import { type Loss, maskedMean, type Normaliser } from './masked.js';

export interface PairwiseRewardBatch {
  /** r_w, the preferred response's reward, [B], differentiable. */
  chosen: tf.Tensor;
  /** r_l, the other response's reward, [B], differentiable. */
  rejected: tf.Tensor;
  /** By how much the chosen response is better, [B]; default 0. */
  margin?: tf.Tensor;
  /** c, pulls the rewards of a pair to a sum of zero; .01 is recommended, 0 leaves it out. */
  centerRewardsCoefficient?: number;
  /** 1 for pairs, 0 for rows that only fill a micro-batch up, [B]; without it every row is a pair. */
  mask?: tf.Tensor;
  /** Pairs of the whole batch. */
  normaliser: Normaliser;
}

/**
 * Bradley-Terry likelihood of the preferences (Ouyang et al. 2022, equation 1; margin: Touvron et al. 2023;
 * centering: Eisenstein et al. 2023):
 *
 *   L = mean -log sigma(r_w - r_l - margin) + c mean (r_w + r_l)^2
 *
 * Statistics, means over pairs: `accuracy`, r_w > r_l, a tie one half; `margin`, r_w - r_l; `meanReward`, (r_w + r_l) / 2.
 */
export function pairwiseRewardLoss({
  chosen,
  rejected,
  margin,
  centerRewardsCoefficient: c = 0,
  mask,
  normaliser,
}: PairwiseRewardBatch): Loss<'accuracy' | 'margin' | 'meanReward'> {
  const difference = tf.sub(chosen, rejected);
  const both = tf.add(chosen, rejected);

  const preference = tf.neg(logSigmoid(margin === undefined ? difference : tf.sub(difference, margin)));
  const losses = c === 0 ? preference : tf.add(preference, tf.mul(c, tf.square(both)));

  const mean = (x: tf.Tensor) => maskedMean(x, mask, normaliser);
  return {
    loss: mean(losses),
    stats: {
      accuracy: mean(pairAccuracy(chosen, rejected)),
      margin: mean(difference),
      meanReward: mean(tf.div(both, 2)),
    },
  };
}

/**
 * The least and the greatest reward of a whole batch; unlike the other statistics these are no sums over micro-batches.
 *
 * @param rewards of chosen and rejected responses, one array per micro-batch
 * @throws AlignmentError ALIGNMENT_TOO_FEW where there are no rewards
 */
export function rewardRange(rewards: readonly ArrayLike<number>[]): { minReward: number; maxReward: number } {
  let minReward = Number.POSITIVE_INFINITY;
  let maxReward = Number.NEGATIVE_INFINITY;
  for (const row of rewards) {
    for (let i = 0; i < row.length; i++) {
      minReward = Math.min(minReward, row[i]!);
      maxReward = Math.max(maxReward, row[i]!);
    }
  }
  if (minReward > maxReward) throw new AlignmentError('ALIGNMENT_TOO_FEW', 'expected at least one reward');
  return { minReward, maxReward };
}
