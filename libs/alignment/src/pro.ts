/** Preference ranking optimisation (Song et al. 2024, https://arxiv.org/abs/2306.17492). */
import * as tf from '@tensorflow/tfjs';
import { pairAccuracy } from './accuracy.js';
import { listwiseLosses } from './listwise.js';
import { type Loss, maskedMean, type Normaliser, zeroOutside } from './masked.js';

export interface ProBatch {
  /** z of each response, [N], differentiable: see `meanLogprobs`. */
  scores: tf.Tensor;
  /** Above 0 where response i is ranked above j, with weights that add up to 1 for each comparison, else 0, [N, N]. */
  prefers: tf.Tensor;
  /** r_i - r_j, by how much response i is better than one that is ranked below it, [N, N]; without it, no temperatures. */
  gaps?: tf.Tensor;
  /** The weight of the stage of each response, [N]: 1 to learn from the whole list, or its share in being the best. */
  stages: tf.Tensor;
  /** 1 for the best response of a comparison; of several that tie, each has its share of 1; else 0, [N]. */
  best: tf.Tensor;
  /** beta, the weight of the SFT term in the comparison of each response, [N]. */
  sftCoef: tf.Tensor;
  /** Comparisons of the whole batch. */
  normaliser: Normaliser;
}

/**
 * L = mean over comparisons of L_PRO + beta L_SFT (equations 7 to 10), with a stage k for each response that any is ranked
 * strictly below, its denominator that response and those:
 *
 *   L_PRO = -sum_k log( exp(z_k / T_kk) / ( exp(z_k / T_kk) + sum_{i below k} exp(z_i / T_ki) ) )
 *   T_ki = 1 / (r_k - r_i),  T_kk = min_i T_ki;  1 without `gaps`
 *   L_SFT = -z of the best, the mean over those that tie for it
 *
 * Statistics, means over comparisons: `proLoss`, L_PRO; `nllLoss`, L_SFT; and of the mean over a comparison's pairs, with z as
 * the reward: `rewardsChosen`, `rewardsRejected`, `rewardsAccuracies` (a tie one half), `rewardsMargins`.
 */
export function proLoss({
  scores: z,
  prefers,
  gaps,
  stages,
  best,
  sftCoef,
  normaliser,
}: ProBatch): Loss<
  'proLoss' | 'nllLoss' | 'rewardsChosen' | 'rewardsRejected' | 'rewardsAccuracies' | 'rewardsMargins'
> {
  const chosen = tf.reshape(z, [-1, 1]);
  const rejected = tf.reshape(z, [1, -1]);
  const differences =
    gaps === undefined ? tf.sub(rejected, chosen) : tempered(chosen, rejected, gaps, prefers);
  const listwise = listwiseLosses(differences, prefers);
  const nll = tf.neg(z);

  const mean = (x: tf.Tensor, weights: tf.Tensor) => maskedMean(x, weights, normaliser);
  const ranking = mean(listwise, stages);
  return {
    loss: tf.add(ranking, mean(nll, tf.mul(sftCoef, best))),
    stats: {
      proLoss: ranking,
      nllLoss: mean(nll, best),
      rewardsChosen: mean(chosen, prefers),
      rewardsRejected: mean(rejected, prefers),
      rewardsAccuracies: mean(pairAccuracy(chosen, rejected), prefers),
      rewardsMargins: mean(tf.sub(chosen, rejected), prefers),
    },
  };
}

/** z_i / T_ki - z_k / T_kk in row k. */
function tempered(chosen: tf.Tensor, rejected: tf.Tensor, gaps: tf.Tensor, prefers: tf.Tensor): tf.Tensor {
  const perT = zeroOutside(gaps, prefers);
  const perOwnT = tf.max(perT, 1, true);
  return tf.sub(tf.mul(perT, rejected), tf.mul(perOwnT, chosen));
}
