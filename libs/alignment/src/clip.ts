import { AlignmentError } from './errors.js';

/**
 * The factor that scales gradients of this norm down to at most maxNorm: min(1, maxNorm / (norm + 1e-6)).
 *
 * @param maxNorm Infinity leaves the gradients as they are
 * @throws AlignmentError ALIGNMENT_NOT_FINITE on a norm that is not finite, before it can reach the weights;
 *   ALIGNMENT_OPTION
 */
export function gradientClipCoefficient(norm: number, maxNorm: number): number {
  if (!Number.isFinite(norm)) {
    throw new AlignmentError(
      'ALIGNMENT_NOT_FINITE',
      `expected a finite gradient norm, got ${norm}: lower the learning rate or look at the batch`,
    );
  }
  if (!(maxNorm > 0))
    throw new AlignmentError('ALIGNMENT_OPTION', `maxNorm must be positive, got ${maxNorm}`);
  return Math.min(1, maxNorm / (norm + 1e-6));
}
