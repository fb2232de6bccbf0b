/** REINFORCE with a baseline (Williams 1992; for language models Ahmadian et al. 2024, "Back to Basics"). */
import * as tf from '@tensorflow/tfjs';
import { type Loss, maskedMean, type Normaliser, zeroOutside } from './masked.js';

/** What is taken from a reward so that the gradient varies less, of what can be told from the rewards alone. */
export type Baseline = 'none' | 'batch_mean' | 'leave_one_out';

export interface RewardedSample {
  /** Names the prompt that it is a sample of. */
  prompt: string;
  /** R, of the whole response: `rlhfReward` of the function of that name. */
  reward: number;
}

/**
 * The baseline b of each response:
 *
 *   none           0
 *   batch_mean     the mean of R over the n responses of the batch. R is part of its own baseline, so that the gradient is
 *                  1 - 1/n of the policy gradient in expectation
 *   leave_one_out  the mean of R over the other K - 1 samples of the same prompt (RLOO), which is unbiased
 *
 * @returns [n], undefined for a response with no other to be compared with
 */
function baselines(samples: readonly RewardedSample[], baseline: Baseline): (number | undefined)[] {
  if (baseline === 'none') return samples.map(() => 0);
  if (baseline === 'batch_mean') {
    const mean = samples.reduce((sum, { reward }) => sum + reward, 0) / samples.length;
    return samples.map(() => mean);
  }

  const ofPrompt = new Map<string, { sum: number; K: number }>();
  for (const { prompt, reward } of samples) {
    const { sum, K } = ofPrompt.get(prompt) ?? { sum: 0, K: 0 };
    ofPrompt.set(prompt, { sum: sum + reward, K: K + 1 });
  }
  return samples.map(({ prompt, reward: R }) => {
    const { sum, K } = ofPrompt.get(prompt)!;
    return K === 1 ? undefined : (sum - R) / (K - 1);
  });
}

/**
 * The advantage of each response over its baseline, A = R - b. A response with no other to be compared with has the
 * advantage 0: nothing is learned from it.
 *
 * @returns [n]
 */
export function baselineAdvantages(samples: readonly RewardedSample[], baseline: Baseline): Float64Array {
  const b = baselines(samples, baseline);
  return Float64Array.from(samples, ({ reward: R }, i) => advantage(R, b[i]));
}

const advantage = (gain: number, b: number | undefined): number => (b === undefined ? 0 : gain - b);

/**
 * The rewards from each token on, G_t = sum_{l >= t} gamma^(l - t) R_l: a token is not credited with what came before it.
 *
 * @param rewards [T], R_t
 * @returns [T]
 */
export function rewardsToGo(rewards: ArrayLike<number>, gamma: number): Float64Array {
  const gains = new Float64Array(rewards.length);
  let next = 0;
  for (let t = rewards.length - 1; t >= 0; t--) {
    next = rewards[t]! + gamma * next;
    gains[t] = next;
  }
  return gains;
}

/**
 * The advantage of each token by its reward-to-go, A_t = G_t - b. The baseline is that of whole responses: it may be any
 * number that does not depend on the tokens from t on.
 *
 * @param gains one array a response
 */
export function tokenAdvantages(
  gains: readonly Float64Array[],
  prompts: readonly string[],
  baseline: Baseline,
): Float64Array[] {
  const b = baselines(
    gains.map((G, i) => ({ prompt: prompts[i]!, reward: G[0]! })),
    baseline,
  );
  return gains.map((G, i) => G.map((gain) => advantage(gain, b[i])));
}

export interface ReinforceBatch {
  /** log pi of each response token, differentiable. */
  logprobs: tf.Tensor;
  /** A of each token, or of the response that it is of, a constant. */
  advantages: tf.Tensor;
  /** 1 for response tokens, 0 for padding. */
  mask: tf.Tensor;
  /** Responses of the whole batch. */
  normaliser: Normaliser;
}

/**
 * The loss whose gradient is the policy gradient's, negated, for responses y of the policy itself:
 *
 *   L = -mean_y sum_t A_t log pi(y_t),  of A_t = A(y):  -mean_y A(y) log pi(y)
 *
 * All tensors have one shape, [B, T] or any other. The loss itself measures nothing, only its gradient counts.
 */
export function reinforceLoss({ logprobs, advantages: A, mask, normaliser }: ReinforceBatch): Loss<never> {
  const gain = tf.mul(A, zeroOutside(logprobs, mask));
  return { loss: tf.neg(maskedMean(gain, mask, normaliser)), stats: {} };
}
