/**
 * Off-policy correction for rollouts of an older policy than the one that is updated: truncated importance sampling
 * (Ionides 2008; token-level as IMPALA's, Espeholt et al. 2018), to go with the decoupled clipped objective (Hilton
 * et al. 2022, "Batch size-invariance for policy optimization"; for language models AReaL, Fu et al. 2025).
 */
import { AlignmentError } from './errors.js';

export interface SampledTokens {
  /** log pi_prox: the response's tokens under the policy as the update begins. */
  proximalLogprobs: ArrayLike<number>;
  /** log pi_behav: the same tokens under the policy that generated them. */
  behaviourLogprobs: ArrayLike<number>;
}

export interface ImportanceWeights {
  /** w_t, one per token. */
  weights: Float64Array;
  /** Tokens whose ratio was above the cap. */
  truncated: number;
}

/**
 * The weights of one response's tokens, constants of the update:
 *
 *   w_t = min(pi_prox(a_t) / pi_behav(a_t), cap)
 *
 * Untruncated, E_behav[w f] = E_prox[f]. The cap bounds the variance from tokens that the older policy found unlikely,
 * at the price of a bias. On-policy all weights are 1.
 *
 * @param options.cap at least 1; Infinity truncates nothing
 * @throws AlignmentError ALIGNMENT_SHAPE when the log-probs differ in length; ALIGNMENT_NOT_FINITE; ALIGNMENT_OPTION
 */
export function truncatedImportanceWeights(
  { proximalLogprobs, behaviourLogprobs }: SampledTokens,
  { cap }: { cap: number },
): ImportanceWeights {
  const length = proximalLogprobs.length;
  if (behaviourLogprobs.length !== length) {
    throw new AlignmentError(
      'ALIGNMENT_SHAPE',
      `expected ${length} behaviour log-probs, one per response token, got ${behaviourLogprobs.length}`,
    );
  }
  if (!(cap >= 1)) {
    throw new AlignmentError('ALIGNMENT_OPTION', `expected a cap of at least 1, got ${cap}`);
  }
  const weights = new Float64Array(length);
  let truncated = 0;
  for (let t = 0; t < length; t++) {
    const logratio = proximalLogprobs[t]! - behaviourLogprobs[t]!;
    if (!Number.isFinite(logratio)) {
      throw new AlignmentError(
        'ALIGNMENT_NOT_FINITE',
        `expected finite log-probs, got ${proximalLogprobs[t]} and ${behaviourLogprobs[t]} at token ${t}`,
      );
    }
    const ratio = Math.exp(logratio);
    if (ratio > cap) truncated++;
    weights[t] = Math.min(ratio, cap);
  }
  return { weights, truncated };
}
