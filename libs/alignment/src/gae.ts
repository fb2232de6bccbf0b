import { AlignmentError } from './errors.js';

export interface Trajectory {
  /** R_t, one per response token. */
  rewards: ArrayLike<number>;
  /** V_t, the value of the state in which token t was chosen. */
  values: ArrayLike<number>;
}

/**
 * Generalised advantage estimation for one response (Schulman et al. 2016, equations 11, 12 and 16):
 *
 *   delta_t = R_t + gamma V_{t+1} - V_t,  A_t = delta_t + gamma lam A_{t+1},  returns = A + V
 *
 * V is 0 after the last token: a response is a whole episode. The returns are the value function's targets;
 * whiten the advantages, not the returns, and only afterwards.
 *
 * @throws AlignmentError ALIGNMENT_SHAPE when there is not one value per reward; ALIGNMENT_NOT_FINITE
 */
export function gae(
  { rewards, values }: Trajectory,
  { gamma, lam }: { gamma: number; lam: number },
): { advantages: Float64Array; returns: Float64Array } {
  const length = rewards.length;
  if (values.length !== length) {
    throw new AlignmentError(
      'ALIGNMENT_SHAPE',
      `expected ${length} values, one per reward, got ${values.length}`,
    );
  }
  const advantages = new Float64Array(length);
  let nextValue = 0;
  let nextAdvantage = 0;
  for (let t = length - 1; t >= 0; t--) {
    const delta = rewards[t]! + gamma * nextValue - values[t]!;
    if (!Number.isFinite(delta)) {
      throw new AlignmentError(
        'ALIGNMENT_NOT_FINITE',
        `expected finite rewards and values, got ${rewards[t]} and ${values[t]} at token ${t}`,
      );
    }
    nextAdvantage = delta + gamma * lam * nextAdvantage;
    nextValue = values[t]!;
    advantages[t] = nextAdvantage;
  }
  return { advantages, returns: advantages.map((a, t) => a + values[t]!) };
}
