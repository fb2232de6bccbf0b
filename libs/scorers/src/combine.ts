/** How the scores of several scorers become one. */
import type { Ensemble } from '@rlhf-streams/runs';
import { ScorerError } from './errors.js';

/**
 * The score of an ensemble of reward models, as in Coste et al. 2023, https://arxiv.org/abs/2310.02743: their mean, the
 * lowest (worst case), or mean - k std, where std is the standard deviation of the population, sqrt(mean((r - mean)^2)).
 * Null where a member does not apply.
 *
 * @param scores one a member, at least one
 */
export function combineScores(
  scores: readonly (number | null)[],
  { combine, k }: Pick<Ensemble, 'combine' | 'k'>,
): number | null {
  const applied = scores.filter((score) => score !== null);
  if (applied.length < scores.length) return null;
  const mean = meanOf(applied);
  switch (combine) {
    case 'mean':
      return mean;
    case 'worst_case':
      return Math.min(...applied);
    case 'mean_minus_std':
      return mean - k * Math.sqrt(meanOf(applied.map((score) => (score - mean) ** 2)));
  }
}

const meanOf = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length;

/** What a scorer of a run says of a completion. */
export interface Weighed {
  /** What its score goes by. */
  readonly name: string;
  readonly weight: number;
  readonly score: number | null;
}

/**
 * The reward: the sum of the scores, each times its weight. A scorer of weight 0 is only reported, and one that does
 * not apply adds nothing.
 *
 * @throws ScorerError REWARD_NOT_APPLICABLE where none with a weight applies, which is no reward of 0; REWARD_NOT_FINITE
 *   for a sum that is NaN or infinite in float32
 */
export function weighedSum(scorers: readonly Weighed[]): number {
  const rewarding = scorers.filter(({ weight }) => weight !== 0);
  const terms = rewarding.flatMap(({ weight, score }) => (score === null ? [] : [weight * score]));
  const [first, ...others] = terms;
  if (first === undefined) {
    const names = rewarding.map(({ name }) => name).join(', ');
    throw new ScorerError(
      'REWARD_NOT_APPLICABLE',
      `expected one of the scorers that reward (${names}) to apply to the completion, none does`,
    );
  }
  const sum = others.reduce((total, term) => total + term, first);
  requireFinite({ 'the sum of the weighed scores': sum });
  return sum;
}

/** @throws ScorerError REWARD_NOT_FINITE naming the first that is NaN, infinite, or so in float32, in which training computes */
export function requireFinite(scores: Readonly<Record<string, number | null>>): void {
  for (const [name, score] of Object.entries(scores))
    if (score !== null && !Number.isFinite(Math.fround(score)))
      throw new ScorerError(
        'REWARD_NOT_FINITE',
        `expected ${name} to be a finite score in float32, got ${score}`,
      );
}
