/** Group relative policy optimisation (Shao et al. 2024, "DeepSeekMath"): PPO's clipped surrogate without a value model. */
import type { RewardedSample } from './reinforce.js';

/**
 * What the distance of a reward from the mean of its group is divided by: the standard deviation of the group, which weights
 * hard and easy prompts like others, that of the whole batch, or nothing (Liu et al. 2025, "Dr. GRPO").
 */
export type ScaleRewards = 'group' | 'batch' | 'none';

const EPS = 1e-4;

/**
 * The advantage of each response over the K samples of its prompt (section 4.1.2):
 *
 *   A = (R - mean) / (std + 1e-4),  std unbiased, as TRL has it
 *
 * In a group whose rewards are all equal, and in one of a single response, every advantage is 0: nothing is learned from it.
 *
 * @returns [n]
 */
export function groupAdvantages(
  samples: readonly RewardedSample[],
  { scaleRewards }: { scaleRewards: ScaleRewards },
): Float64Array {
  const groups = groupsOf(samples);
  const batch = deviation(samples.map(({ reward }) => reward));
  return Float64Array.from(samples, ({ prompt, reward: R }) => {
    const rewards = groups.get(prompt)!;
    if (allEqual(rewards)) return 0;
    const distance = R - mean(rewards);
    if (scaleRewards === 'none') return distance;
    return distance / ((scaleRewards === 'group' ? deviation(rewards) : batch) + EPS);
  });
}

/** The share of the prompts whose samples all have the same reward, so that comparing them teaches nothing. */
export function equalGroups(samples: readonly RewardedSample[]): number {
  const groups = [...groupsOf(samples).values()];
  return groups.filter(allEqual).length / groups.length;
}

/**
 * How the losses of tokens are put together:
 *
 *   grpo     the mean over each response's tokens, then over the G responses (Shao et al. 2024, equation 3): tokens of a long
 *            response count less
 *   dr_grpo  the sum over all tokens by G and the greatest length of a response: length has no part in it (Liu et al. 2025)
 *   bnpo     the mean over all tokens
 */
export type GrpoLossType = 'grpo' | 'dr_grpo' | 'bnpo';

/**
 * The weight of every token of each response, such that the mean of the weighted losses over all tokens is the loss:
 *
 *   grpo     w = N / (G |o|),  N tokens in G responses
 *   dr_grpo  w = N / (G L),  L the greatest length
 *   bnpo     w = 1
 *
 * @param lengths [G] tokens of each response, |o|
 * @returns [G]
 */
export function tokenWeights(
  lengths: readonly number[],
  { lossType, maxLength }: { lossType: GrpoLossType; maxLength: number },
): number[] {
  const perResponse = lengths.reduce((sum, length) => sum + length, 0) / lengths.length;
  return lengths.map((length) => {
    if (lossType === 'bnpo') return 1;
    return perResponse / (lossType === 'grpo' ? length : maxLength);
  });
}

function groupsOf(samples: readonly RewardedSample[]): Map<string, number[]> {
  const groups = new Map<string, number[]>();
  for (const { prompt, reward } of samples) {
    const group = groups.get(prompt);
    if (group) group.push(reward);
    else groups.set(prompt, [reward]);
  }
  return groups;
}

const allEqual = (rewards: readonly number[]): boolean => rewards.every((reward) => reward === rewards[0]);

const mean = (rewards: readonly number[]): number =>
  rewards.reduce((sum, reward) => sum + reward, 0) / rewards.length;

/** 0 of less than two. */
function deviation(rewards: readonly number[]): number {
  const centre = mean(rewards);
  const squares = rewards.reduce((sum, reward) => sum + (reward - centre) ** 2, 0);
  return rewards.length < 2 ? 0 : Math.sqrt(squares / (rewards.length - 1));
}
