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
 * @param refLogprobs [B, T] log ref of each token; without it there is no reference, and the log-ratios are log pi
 * @param mask [B, T] 1 for response tokens, 0 for prompt and padding
 */
export function responseLogprobs({
  logprobs,
  refLogprobs,
  mask,
}: {
  logprobs: tf.Tensor;
  refLogprobs?: tf.Tensor | undefined;
  mask: tf.Tensor;
}): ResponseLogprobs {
  const logps = pairwiseSum(zeroOutside(logprobs, mask));
  return {
    logps,
    logratios: refLogprobs ? pairwiseSum(zeroOutside(tf.sub(logprobs, refLogprobs), mask)) : logps,
    lengths: tf.sum(mask, -1),
  };
}

/** sum_t lp_t / |y|, the mean log-prob of a response's tokens, [B]; a response without tokens has 0. */
export const meanLogprobs = ({ logps, lengths }: Pick<ResponseLogprobs, 'logps' | 'lengths'>): tf.Tensor =>
  tf.div(logps, tf.maximum(lengths, 1));

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
   * themselves probabilities. Used by sigmoid, sigmoid_norm, simpo and robust.
   */
  labelSmoothing?: number | tf.Tensor;
  /** alpha of R-DPO, what a token costs in reward. Used by sigmoid, robust and hinge. */
  alpha?: number;
  /** gamma of SimPO, by how much the chosen reward should exceed the rejected one. Used by simpo. */
  simpoGamma?: number;
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
 * Statistics, means over pairs of `implicitRewards`: `rewardsChosen`, `rewardsRejected`,
 * `rewardsAccuracies` (chosen > rejected, a tie one half), `rewardsMargins`, `logpsChosen`, `logpsRejected`.
 *
 * @throws AlignmentError ALIGNMENT_OPTION when beta or the label smoothing is out of range, or alpha is given to a loss
 *   type that has none
 */
export function dpoLoss({
  chosen,
  rejected,
  beta,
  lossType = 'sigmoid',
  labelSmoothing = 0,
  alpha = 0,
  simpoGamma = 0,
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
  if (alpha !== 0 && !lengthRegularised.has(lossType)) {
    throw new AlignmentError(
      'ALIGNMENT_OPTION',
      `alpha belongs to the loss types ${[...lengthRegularised].join(', ')}, got ${alpha} for ${lossType}`,
    );
  }
  const losses = dpoLossTypes[lossType]({
    chosen,
    rejected,
    delta: tf.sub(chosen.logratios, rejected.logratios),
    beta,
    labelSmoothing,
    alpha,
    simpoGamma,
  });

  const rewardsChosen = implicitRewards(chosen, { beta, lossType });
  const rewardsRejected = implicitRewards(rejected, { beta, lossType });
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
  alpha: number;
  simpoGamma: number;
}

/** Loss types that compare lengths too, where alpha is not 0. */
const lengthRegularised: ReadonlySet<DpoLossType> = new Set(['sigmoid', 'robust', 'hinge']);

/**
 * x = beta Delta + alpha (|y_w| - |y_l|), lengths in tokens: beta Delta of DPO, with alpha that of R-DPO (Park et al. 2024).
 *
 * The policy that maximises E[r - alpha |y|] - beta KL is ref exp((r - alpha |y|) / beta) / Z, hence r = beta s + alpha |y| up
 * to a constant, and r_w - r_l = x: of a longer winner part of the margin is met already, so that its gradient shrinks.
 */
function rewardDifference({ chosen, rejected, delta, beta, alpha }: Pairs): tf.Tensor {
  const x = tf.mul(beta, delta);
  return alpha === 0 ? x : tf.add(x, tf.mul(alpha, tf.sub(chosen.lengths, rejected.lengths)));
}

/** -(1 - e) log sigma(x) - e log sigma(-x). */
function smoothed(x: tf.Tensor, e: Pairs['labelSmoothing']): tf.Tensor {
  if (e === 0) return tf.neg(logSigmoid(x));
  return tf.neg(tf.add(tf.mul(tf.sub(1, e), logSigmoid(x)), tf.mul(e, logSigmoid(tf.neg(x)))));
}

/** Log-ratios per token. */
const perToken = ({ logratios, lengths }: ResponseLogprobs): tf.Tensor =>
  tf.div(logratios, tf.maximum(lengths, 1));

/**
 * The reward that a policy trained by these losses implies of each response, [B]: beta s; of SimPO, which has no reference
 * and averages, beta log pi / |y|.
 */
export const implicitRewards = (
  response: ResponseLogprobs,
  { beta, lossType }: Required<Pick<DpoBatch, 'beta' | 'lossType'>>,
): tf.Tensor => tf.mul(beta, lossType === 'simpo' ? meanLogprobs(response) : response.logratios);

/** Each loss type maps pairs to their losses [B]; a further member of the family is a further entry. */
export const dpoLossTypes = {
  /**
   * -(1 - e) log sigma(x) - e log sigma(-x): DPO; with e > 0 cDPO (Mitchell 2023). Here and below x is beta Delta, with alpha
   * the difference of rewards of R-DPO.
   */
  sigmoid: (pairs: Pairs) => smoothed(rewardDifference(pairs), pairs.labelSmoothing),

  /** The same of x = beta (s_w / |y_w| - s_l / |y_l|), log-ratios per token. */
  sigmoid_norm: ({ chosen, rejected, beta, labelSmoothing }: Pairs) =>
    smoothed(tf.mul(beta, tf.sub(perToken(chosen), perToken(rejected))), labelSmoothing),

  /** The same of x = beta (log pi(y_w) / |y_w| - log pi(y_l) / |y_l|) - gamma, without a reference (Meng et al. 2024). */
  simpo: ({ chosen, rejected, beta, simpoGamma: gamma, labelSmoothing }: Pairs) => {
    const difference = tf.mul(beta, tf.sub(meanLogprobs(chosen), meanLogprobs(rejected)));
    return smoothed(tf.sub(difference, gamma), labelSmoothing);
  },

  /**
   * [-(1 - e) log sigma(x) + e log sigma(-x)] / (1 - 2e), unbiased when labels are flipped (Chowdhury et al. 2024).
   */
  robust: (pairs: Pairs) => {
    const { labelSmoothing: e } = pairs;
    const x = rewardDifference(pairs);
    const straight = tf.mul(tf.sub(1, e), logSigmoid(x));
    const flipped = tf.mul(e, logSigmoid(tf.neg(x)));
    return tf.div(tf.sub(flipped, straight), tf.sub(1, tf.mul(2, e)));
  },

  /** max(0, 1 - x) (Zhao et al. 2023, SLiC). */
  hinge: (pairs: Pairs) => tf.relu(tf.sub(1, rewardDifference(pairs))),

  /** (s_w / |y_w| - s_l / |y_l| - 1 / (2 beta))^2 (Azar et al. 2023, averaged over tokens as TRL has it). */
  ipo: ({ chosen, rejected, beta }: Pairs) =>
    tf.squaredDifference(tf.sub(perToken(chosen), perToken(rejected)), 1 / (2 * beta)),

  /** (Delta - 1 / (2 beta))^2 (Azar et al. 2023, equation 17). */
  ipo_sum: ({ delta, beta }: Pairs) => tf.squaredDifference(delta, 1 / (2 * beta)),
} satisfies Record<string, (pairs: Pairs) => tf.Tensor>;
