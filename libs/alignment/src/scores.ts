/** Scores as the optimizer learns from them: normalised over a step or over all steps so far, then clipped. */
import { AlignmentError } from './errors.js';

/** What scores are normalised by: nothing, the scores of their own step, or every score so far, their step's included. */
export type ScoreNormalisation = 'none' | 'batch' | 'running';

/** All that the mean and variance of scores need of them, however many there were (Welford 1962). */
export interface ScoreStatistics {
  readonly count: number;
  readonly mean: number;
  /** Sum of squared deviations from the mean. */
  readonly m2: number;
}

const NO_SCORES: ScoreStatistics = { count: 0, mean: 0, m2: 0 };

/** The statistics with the scores of a step added, one after the other: their order decides the last bits. */
function addScores(statistics: ScoreStatistics, scores: readonly number[]): ScoreStatistics {
  return scores.reduce(({ count, mean, m2 }, score) => {
    const n = count + 1;
    const next = mean + (score - mean) / n;
    return { count: n, mean: next, m2: m2 + (score - mean) * (score - next) };
  }, statistics);
}

/** The root of the unbiased variance; 0 of less than two scores. */
export const deviationOf = ({ count, m2 }: ScoreStatistics): number =>
  count < 2 ? 0 : Math.sqrt(m2 / (count - 1));

export interface ScoreOptions {
  readonly normalisation: ScoreNormalisation;
  /** How far a score may be from 0, after normalisation. Default: as far as it is. */
  readonly clip?: number | undefined;
  /** Statistics of the scores of all steps before, for `running`. Default: this is the first step. */
  readonly before?: ScoreStatistics | undefined;
}

export interface UsedScores {
  readonly scores: number[];
  /** What they were normalised by; with `running`, what the next step goes on from. */
  readonly statistics: ScoreStatistics;
  /** Scores that were clipped. */
  readonly clipped: number;
}

/**
 * The scores of a step as they are used:
 *
 *   s <- (s - mean) / sqrt(var + 1e-8),  then  s <- clip(s, -clip, clip)
 *
 * The order of the two is TRL's (PPOTrainer of 0.11, `use_score_norm` and `score_clip`), the constant that of `whiten`.
 *
 * @throws AlignmentError ALIGNMENT_NOT_FINITE on a score that is not finite: it would spoil the statistics for good
 */
export function usedScores(
  scores: readonly number[],
  { normalisation, clip = Number.POSITIVE_INFINITY, before = NO_SCORES }: ScoreOptions,
): UsedScores {
  const wrong = scores.find((score) => !Number.isFinite(score));
  if (wrong !== undefined)
    throw new AlignmentError('ALIGNMENT_NOT_FINITE', `expected finite scores, got ${wrong}`);
  const statistics = addScores(normalisation === 'running' ? before : NO_SCORES, scores);
  const scale = 1 / Math.sqrt(deviationOf(statistics) ** 2 + 1e-8);
  const normalised =
    normalisation === 'none' ? scores : scores.map((score) => (score - statistics.mean) * scale);
  return {
    scores: normalised.map((score) => Math.min(Math.max(score, -clip), clip)),
    statistics,
    clipped: normalised.filter((score) => Math.abs(score) > clip).length,
  };
}
