import * as tf from '@tensorflow/tfjs';
import { type Loss, maskedMean, type Normaliser } from './masked.js';

export interface SftBatch {
  /** log pi of each token, [B, T], differentiable. */
  logprobs: tf.Tensor;
  /** 1 for completion tokens, 0 for prompt and padding, [B, T]. */
  mask: tf.Tensor;
  /** Completion tokens of the whole batch. */
  normaliser: Normaliser;
}

/**
 * Supervised fine-tuning (Ouyang et al. 2022, step 1): L = mean_m -log pi(y_t | x, y_<t), in nats per token.
 */
export function sftLoss({ logprobs, mask, normaliser }: SftBatch): Loss<never> {
  return { loss: tf.neg(maskedMean(logprobs, mask, normaliser)), stats: {} };
}
