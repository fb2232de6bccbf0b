/** REINFORCE with a baseline (Williams 1992; for language models Ahmadian et al. 2024, "Back to Basics"). */
import * as tf from '@tensorflow/tfjs';
import { type Loss, maskedMean, type Normaliser, zeroOutside } from './masked.js';

/** What is taken from a reward so that the gradient varies less. */
export type Baseline = 'batch_mean' | 'leave_one_out';

export interface RewardedSample {
  /** Names the prompt that it is a sample of. */
  prompt: string;
  /** R, of the whole response: `rlhfReward` of the function of that name. */
  reward: number;
}

/**
 * The advantage of each response over the baseline, A = R - b:
 *
 *   batch_mean     b = mean of R over the n responses of the batch. R is part of its own baseline, so that the gradient is
 *                  1 - 1/n of the policy gradient in expectation
 *   leave_one_out  b = mean of R over the other K - 1 samples of the same prompt (RLOO), which is unbiased
 *
 * A response with no other to be compared with has the advantage 0: nothing is learned from it.
 *
 * @returns [n]
 */
export function baselineAdvantages(samples: readonly RewardedSample[], baseline: Baseline): Float64Array {
  if (baseline === 'batch_mean') {
    const mean = samples.reduce((sum, { reward }) => sum + reward, 0) / samples.length;
    return Float64Array.from(samples, ({ reward: R }) => R - mean);
  }

  const ofPrompt = new Map<string, { sum: number; K: number }>();
  for (const { prompt, reward } of samples) {
    const { sum, K } = ofPrompt.get(prompt) ?? { sum: 0, K: 0 };
    ofPrompt.set(prompt, { sum: sum + reward, K: K + 1 });
  }
  return Float64Array.from(samples, ({ prompt, reward: R }) => {
    const { sum, K } = ofPrompt.get(prompt)!;
    return K === 1 ? 0 : R - (sum - R) / (K - 1);
  });
}

export interface ReinforceBatch {
  /** log pi of each response token, differentiable. */
  logprobs: tf.Tensor;
  /** A of the response that each token is of, a constant. */
  advantages: tf.Tensor;
  /** 1 for response tokens, 0 for padding. */
  mask: tf.Tensor;
  /** Responses of the whole batch. */
  normaliser: Normaliser;
}

/**
 * The loss whose gradient is the policy gradient's, negated, for responses y of the policy itself:
 *
 *   L = -mean_y A(y) log pi(y),  log pi(y) = sum_t log pi(y_t)
 *
 * All tensors have one shape, [B, T] or any other. The loss itself measures nothing, only its gradient counts.
 */
export function reinforceLoss({ logprobs, advantages: A, mask, normaliser }: ReinforceBatch): Loss<never> {
  const gain = tf.mul(A, zeroOutside(logprobs, mask));
  return { loss: tf.neg(maskedMean(gain, mask, normaliser)), stats: {} };
}
