/** Win rate at equal length: what would remain of a preference if both policies wrote as much. */
import { NORMAL_CRITICAL } from './critical-values.js';
import { EvaluationError } from './errors.js';
import { type Estimate, sampleStd } from './statistics.js';
import type { Outcome } from './win-rate.js';

/** One prompt's outcome and the lengths (tokens or characters, but the same unit) of both completions. */
export interface LengthedOutcome {
  readonly outcome: Outcome;
  readonly lengthA: number;
  readonly lengthB: number;
}

/** Estimate of P(a wins) at zero length difference, and how strongly length pulls. */
export interface LengthControlledWinRate extends Estimate {
  /** Change of the log-odds of winning per unit of tanh(length difference / its standard deviation). */
  readonly lengthEffect: number;
}

/**
 * Length-controlled win rate: fits P(a wins) = sigma(alpha + gamma tanh((lengthA - lengthB) / s)), s the standard
 * deviation of the differences, and reports sigma(alpha), the rate at equal length. A tie counts as half a win.
 *
 * The fit is Firth's penalised likelihood (Jeffreys prior), finite even if one side wins everything; the
 * interval is alpha's Wald interval mapped through sigma.
 *
 * Source: Dubois et al. 2024 (length-controlled AlpacaEval), without its per-prompt terms; Firth 1993.
 *
 * @throws EvaluationError EVALUATION_LENGTH_CONFOUNDED if every pair differs by the same non-zero length
 */
export function lengthControlledWinRate(outcomes: readonly LengthedOutcome[]): LengthControlledWinRate {
  const n = outcomes.length;
  const differences = outcomes.map(({ lengthA, lengthB }) => lengthA - lengthB);
  const spread = sampleStd(differences);
  const y = Float64Array.from(outcomes, ({ outcome }) => ({ a: 1, b: 0, tie: 0.5 })[outcome]);
  const alike = differences.every((difference) => difference === 0);
  if (!alike && !(spread > 0)) {
    throw new EvaluationError(
      'EVALUATION_LENGTH_CONFOUNDED',
      `All ${n} pairs differ by the same length (${differences[0]}): the effect of length cannot be told from the policies'. Compare more prompts.`,
    );
  }
  const x = Float64Array.from(differences, (difference) => (alike ? 0 : Math.tanh(difference / spread)));
  const { alpha, gamma, standardError } = firthLogit(x, y);
  const half = NORMAL_CRITICAL * standardError;
  return {
    mean: sigmoid(alpha),
    low: sigmoid(alpha - half),
    high: sigmoid(alpha + half),
    n,
    lengthEffect: gamma,
  };
}

/**
 * Logistic regression of y on [1, x] with Firth's penalty: Fisher scoring on
 * sum_i (y_i - p_i + h_i (1/2 - p_i)) [1, x_i], h the leverages. An x of zeros leaves gamma at zero.
 */
function firthLogit(x: Float64Array, y: Float64Array) {
  let alpha = 0;
  let gamma = 0;
  let standardError = 0;
  for (let iteration = 0; iteration < 200; iteration++) {
    const p = x.map((xi) => sigmoid(alpha + gamma * xi));
    let i00 = 0;
    let i01 = 0;
    let i11 = 0;
    for (let i = 0; i < y.length; i++) {
      const weight = p[i]! * (1 - p[i]!);
      i00 += weight;
      i01 += weight * x[i]!;
      i11 += weight * x[i]! ** 2;
    }
    if (i11 === 0) i11 = 1;
    const determinant = i00 * i11 - i01 * i01;
    standardError = Math.sqrt(i11 / determinant);
    let score0 = 0;
    let score1 = 0;
    for (let i = 0; i < y.length; i++) {
      const xi = x[i]!;
      const leverage = (p[i]! * (1 - p[i]!) * (i11 - 2 * i01 * xi + i00 * xi * xi)) / determinant;
      const residual = y[i]! - p[i]! + leverage * (0.5 - p[i]!);
      score0 += residual;
      score1 += residual * xi;
    }
    const stepAlpha = (i11 * score0 - i01 * score1) / determinant;
    const stepGamma = (i00 * score1 - i01 * score0) / determinant;
    // A full scoring step can overshoot on nearly separable outcomes: no coefficient moves by more than 1.
    const largest = Math.max(Math.abs(stepAlpha), Math.abs(stepGamma));
    const shrink = largest > 1 ? 1 / largest : 1;
    alpha += shrink * stepAlpha;
    gamma += shrink * stepGamma;
    if (largest < 1e-12) break;
  }
  return { alpha, gamma, standardError };
}

function sigmoid(x: number): number {
  return 1 / (1 + Math.exp(-x));
}
