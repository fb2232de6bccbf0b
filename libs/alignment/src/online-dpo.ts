/** Online DPO (Guo et al. 2024): fresh samples of the policy itself are ranked, and compared by a loss of DPO's family. */

/** Ranks by score: 1 is the best, equal scores are ties, and a rank counts the scores above it. */
export const scoreRanks = (scores: readonly number[]): number[] =>
  scores.map((score) => 1 + scores.filter((other) => other > score).length);

/**
 * Ranks drawn from scores, as people would give them who agree with the scores no more than Bradley and Terry say: of any two
 * responses, a is ranked above b with the probability sigma(r_a - r_b). They are in the order of r + G with independent Gumbel
 * noise G = -log(-log u): a draw of Plackett and Luce's model, whose pairs are Bradley and Terry's (Yellott 1977). So however
 * many responses there are, no two labels contradict a third.
 *
 * @param uniforms a number in [0, 1) for each score
 */
export const drawnRanks = (scores: readonly number[], uniforms: readonly number[]): number[] =>
  scoreRanks(scores.map((score, i) => score - Math.log(-Math.log(Math.max(uniforms[i]!, SMALLEST)))));

/** Half of the least number above 0 that has 53 random bits: in its place 0 would be a draw of minus infinity. */
const SMALLEST = 2 ** -54;
