import * as tf from '@tensorflow/tfjs';
import { pairAccuracy } from './accuracy.js';
import { AlignmentError } from './errors.js';
import { listwiseLosses } from './listwise.js';
import { logSigmoid } from './log-sigmoid.js';
import { type Loss, maskedMean, type Normaliser } from './masked.js';

interface Pairs {
  /** r_w, the preferred response's reward, [B], differentiable; or [N, 1], each row against each. */
  chosen: tf.Tensor;
  /** r_l, the other response's reward, [B]; or [1, N]. */
  rejected: tf.Tensor;
  /** c, pulls the rewards of a pair to a sum of zero; .01 is recommended, 0 leaves it out. */
  centerRewardsCoefficient?: number;
  /**
   * 1 for pairs, 0 for what only fills a micro-batch up, [B]; without it every row is a pair. Or weights [N, N] of the pairs,
   * which add up to 1 for each comparison.
   */
  mask?: tf.Tensor;
  /** Pairs of the whole batch, or comparisons. */
  normaliser: Normaliser;
}

export interface PairwiseRewardBatch extends Pairs {
  /** By how much the chosen response is better, in the shape of `chosen`; default 0. */
  margin?: tf.Tensor;
}

type RewardStat = 'accuracy' | 'margin' | 'meanReward';

/**
 * Bradley-Terry likelihood of the preferences (Ouyang et al. 2022, equation 1; margin: Touvron et al. 2023;
 * centering: Eisenstein et al. 2023):
 *
 *   L = mean -log sigma(r_w - r_l - margin) + c mean (r_w + r_l)^2
 *
 * With each row against each, and weights of 1 / C(K, 2), it is the K-wise loss: the mean over comparisons of the mean over
 * the pairs of each.
 *
 * Statistics, means over pairs: `accuracy`, r_w > r_l, a tie one half; `margin`, r_w - r_l; `meanReward`, (r_w + r_l) / 2.
 */
export function pairwiseRewardLoss({ margin, ...pairs }: PairwiseRewardBatch): Loss<RewardStat> {
  const { chosen, rejected, centerRewardsCoefficient: c = 0, mask, normaliser } = pairs;
  const difference = tf.sub(chosen, rejected);
  const preference = tf.neg(logSigmoid(margin === undefined ? difference : tf.sub(difference, margin)));
  const losses = c === 0 ? preference : tf.add(preference, centering(pairs, c));
  return { loss: maskedMean(losses, mask, normaliser), stats: statsOf(pairs) };
}

export interface BestOfNBatch extends Omit<Pairs, 'chosen' | 'rejected' | 'mask'> {
  /** r, the reward of each response, [N], differentiable. */
  scores: tf.Tensor;
  /** 1 where row j is another response of row i's comparison, else 0, [N, N]. */
  rivals: tf.Tensor;
  /** 1 for the best response of a comparison; of several that tie, each has its share of 1; else 0, [N]. */
  best: tf.Tensor;
  /** Weights [N, N] of "row i is preferred to row j", which add up to 1 for each comparison: what centering and the statistics are of. */
  prefers: tf.Tensor;
}

/**
 * Likelihood that the best response of a comparison is chosen of all (Ziegler et al. 2019, equation 1; InfoNCE):
 *
 *   L = mean over comparisons of -log( exp(r_best) / sum_i exp(r_i) ),  the mean over responses that tie for the best
 *
 * Centering and the statistics are those of {@link pairwiseRewardLoss} on the pairs of the best with each below it.
 */
export function bestOfNRewardLoss({
  scores,
  rivals,
  best,
  prefers,
  ...options
}: BestOfNBatch): Loss<RewardStat> {
  const chosen = tf.reshape(scores, [-1, 1]);
  const rejected = tf.reshape(scores, [1, -1]);
  const pairs = { chosen, rejected, mask: prefers, ...options };

  const { centerRewardsCoefficient: c = 0, normaliser } = options;
  const losses = listwiseLosses(tf.sub(rejected, chosen), rivals);
  const loss = maskedMean(losses, best, normaliser);
  return {
    loss: c === 0 ? loss : tf.add(loss, maskedMean(centering(pairs, c), prefers, normaliser)),
    stats: statsOf(pairs),
  };
}

const centering = ({ chosen, rejected }: Pairs, c: number): tf.Tensor =>
  tf.mul(c, tf.square(tf.add(chosen, rejected)));

function statsOf({ chosen, rejected, mask, normaliser }: Pairs): Loss<RewardStat>['stats'] {
  const mean = (x: tf.Tensor) => maskedMean(x, mask, normaliser);
  return {
    accuracy: mean(pairAccuracy(chosen, rejected)),
    margin: mean(tf.sub(chosen, rejected)),
    meanReward: mean(tf.div(tf.add(chosen, rejected), 2)),
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
