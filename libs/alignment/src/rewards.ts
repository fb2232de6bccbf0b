import { AlignmentError } from './errors.js';
import { type KlEstimator, klEstimate } from './kl.js';

export interface ScoredResponse {
  /**
   * Log-probs of the response's tokens under the policy that generated it, EOS included if it was generated.
   */
  logprobs: ArrayLike<number>;
  /** The same tokens under the frozen reference. */
  refLogprobs: ArrayLike<number>;
  /** The reward model's score of the whole response. */
  score: number;
  /** Whether the response ended by itself and not at the length limit. */
  endedWithEos: boolean;
}

export interface RlhfRewardOptions {
  klCoef: number;
  klEstimator?: KlEstimator;
  /** Subtracted from the score of a response without EOS. */
  missingEosPenalty?: number;
}

/**
 * The rewards of one response, and what TRL logs of it: each objective/* metric is the mean over the batch.
 */
export interface RlhfReward {
  /** R_t, one per response token. */
  rewards: Float64Array;
  /** kl_t, one per response token. */
  kls: Float64Array;
  /** The score, less the penalty if EOS is missing (objective/scores). */
  score: number;
  /** sum_t kl_t (objective/kl). */
  kl: number;
  /** sum_t -kl_coef kl_t (objective/non_score_reward). */
  nonScoreReward: number;
  /** sum_t R_t (objective/rlhf_reward). */
  rlhfReward: number;
  /** sum_t -lp_t (objective/entropy), an estimate from the sample. */
  entropy: number;
}

/** The score of a response, less the penalty if it did not end by itself. */
export const penalisedScore = (
  { score, endedWithEos }: Pick<ScoredResponse, 'score' | 'endedWithEos'>,
  missingEosPenalty: number,
): number => (endedWithEos ? score : score - missingEosPenalty);

/**
 * The reward that RLHF gives a response (Ouyang et al. 2022, equation 2), spread over its tokens:
 *
 *   R_t = -kl_coef kl_t,  + score at the last response token;  score -= missing_eos_penalty if no EOS
 *
 * @throws AlignmentError ALIGNMENT_TOO_FEW for a response without tokens; ALIGNMENT_SHAPE when the log-probs
 * differ in length; ALIGNMENT_NOT_FINITE
 */
export function rlhfReward(
  { logprobs, refLogprobs, score, endedWithEos }: ScoredResponse,
  { klCoef, klEstimator = 'k1', missingEosPenalty = 0 }: RlhfRewardOptions,
): RlhfReward {
  const length = logprobs.length;
  if (length === 0)
    throw new AlignmentError('ALIGNMENT_TOO_FEW', 'expected a response of at least one token');
  if (refLogprobs.length !== length) {
    throw new AlignmentError(
      'ALIGNMENT_SHAPE',
      `expected ${length} reference log-probs, one per response token, got ${refLogprobs.length}`,
    );
  }
  const penalised = penalisedScore({ score, endedWithEos }, missingEosPenalty);
  const rewards = new Float64Array(length);
  const kls = new Float64Array(length);
  let kl = 0;
  let entropy = 0;
  for (let t = 0; t < length; t++) {
    const kl_t = klEstimate(klEstimator, logprobs[t]!, refLogprobs[t]!);
    kls[t] = kl_t;
    rewards[t] = -klCoef * kl_t;
    kl += kl_t;
    entropy -= logprobs[t]!;
  }
  rewards[length - 1]! += penalised;
  const nonScoreReward = -klCoef * kl;
  if (!Number.isFinite(penalised + nonScoreReward)) {
    throw new AlignmentError(
      'ALIGNMENT_NOT_FINITE',
      `expected a finite score and log-probs, got score ${score} and KL ${kl}`,
    );
  }
  const rlhfReward = penalised + nonScoreReward;
  return { rewards, kls, score: penalised, kl, nonScoreReward, rlhfReward, entropy };
}
