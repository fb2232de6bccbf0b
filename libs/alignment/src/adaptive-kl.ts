import { AlignmentError } from './errors.js';

export interface AdaptiveKl {
  /** KL(pi, ref) just measured, nats per response. */
  kl: number;
  /** The KL to steer to, nats per response. */
  target: number;
  /** Episodes over which the coefficient may change by its full error. */
  horizon: number;
  /** Episodes (responses, not optimizer steps) since the last change. */
  episodes: number;
}

/**
 * The KL coefficient for the next batch (Ziegler et al. 2019, section 2.2):
 *
 *   e = clip(KL / target - 1, -0.2, 0.2),  coef <- coef (1 + e n / horizon)
 *
 * @throws AlignmentError ALIGNMENT_NOT_FINITE on a KL that is not a number; ALIGNMENT_OPTION
 */
export function adaptKlCoef(coef: number, { kl, target, horizon, episodes }: AdaptiveKl): number {
  if (!Number.isFinite(kl))
    throw new AlignmentError('ALIGNMENT_NOT_FINITE', `expected a finite KL, got ${kl}`);
  if (!(target > 0 && horizon > 0 && episodes >= 0)) {
    throw new AlignmentError(
      'ALIGNMENT_OPTION',
      `expected target > 0, horizon > 0 and episodes >= 0, got ${target}, ${horizon} and ${episodes}`,
    );
  }
  const error = Math.min(Math.max(kl / target - 1, -0.2), 0.2);
  return coef * (1 + (error * episodes) / horizon);
}
