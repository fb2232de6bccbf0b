import { EvaluationError } from './errors.js';
import { type Estimate, meanEstimate } from './statistics.js';

/** Log-probs (nats) of one rollout's sampled tokens under the policy and under the reference; same length. */
export interface RolloutLogprobs {
  readonly logprobs: ArrayLike<number>;
  readonly refLogprobs: ArrayLike<number>;
}

/** KL(policy || reference) in nats per sequence, by two estimators of the same quantity. */
export interface SequenceKl {
  /** Mean of sum_t (logprob - refLogprob): unbiased, may come out negative on few rollouts. */
  readonly k1: Estimate;
  /** Mean of sum_t (exp(-d) - 1 + d), d = logprob - refLogprob: never negative, usually less spread. */
  readonly k3: Estimate;
}

/**
 * Sequence KL of a policy from its own rollouts, with Student 95 % intervals over rollouts.
 *
 * Both estimators assume tokens sampled from the distribution whose log-probs are given: sample at temperature 1
 * without top-k or top-p, or give the log-probs of the sampling distribution.
 *
 * Source: Schulman, "Approximating KL divergence" (2020); TRL's `objective/kl` is k1.
 *
 * @throws EvaluationError EVALUATION_LENGTH_MISMATCH, EVALUATION_NOT_FINITE (a log-prob of -Infinity, or NaN),
 *   EVALUATION_EMPTY
 */
export function sequenceKl(rollouts: readonly RolloutLogprobs[]): SequenceKl {
  const k1 = new Float64Array(rollouts.length);
  const k3 = new Float64Array(rollouts.length);
  rollouts.forEach(({ logprobs, refLogprobs }, i) => {
    if (logprobs.length !== refLogprobs.length) {
      throw new EvaluationError(
        'EVALUATION_LENGTH_MISMATCH',
        `Rollout ${i} has ${logprobs.length} policy and ${refLogprobs.length} reference log-probs; both must cover the same tokens.`,
      );
    }
    for (let t = 0; t < logprobs.length; t++) {
      const d = logprobs[t]! - refLogprobs[t]!;
      k1[i]! += d;
      k3[i]! += Math.expm1(-d) + d;
    }
  });
  return { k1: meanEstimate(k1), k3: meanEstimate(k3) };
}
