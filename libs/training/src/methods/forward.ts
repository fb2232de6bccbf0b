/** The models' outputs that losses take, over sequences laid out as in `rows.ts`. */
import { selectiveLogSoftmax } from '@rlhf-streams/alignment';
import { architectureOf, type ModelConfig, type Parameters } from '@rlhf-streams/model';
import * as tf from '@tensorflow/tfjs';

/** Logits [B, T - 1, V] that score tokens 1 .. T - 1 of ids [B, T]. */
export function nextTokenLogits(config: ModelConfig, p: Parameters, ids: tf.Tensor): tf.Tensor {
  const { forward, languageHead } = architectureOf(config);
  const [B, T] = ids.shape as [number, number];
  const { hidden } = forward(config, p, ids);
  const logits = tf.reshape(languageHead(config, p, hidden), [B, T, config.vocabSize]);
  return tf.slice(logits, [0, 0, 0], [B, T - 1, config.vocabSize]);
}

/** Log-probs [B, T - 1] of tokens 1 .. T - 1. */
export function nextTokenLogprobs(
  config: ModelConfig,
  p: Parameters,
  ids: tf.Tensor,
  temperature = 1,
): tf.Tensor {
  return selectiveLogSoftmax(nextTokenLogits(config, p, ids), nextTokens(ids), temperature);
}

/** Tokens 1 .. T - 1 of ids [B, T]. */
export const nextTokens = (ids: tf.Tensor): tf.Tensor =>
  tf.slice(ids, [0, 1], [ids.shape[0]!, ids.shape[1]! - 1]);

/** Values [B, T - 1] of the states in which tokens 1 .. T - 1 are chosen. */
export function stateValues(config: ModelConfig, p: Parameters, ids: tf.Tensor): tf.Tensor {
  const { forward, scalarHead } = architectureOf(config);
  const [B, T] = ids.shape as [number, number];
  const values = tf.reshape(scalarHead(config, p, forward(config, p, ids).hidden), [B, T]);
  return tf.slice(values, [0, 0], [B, T - 1]);
}

/** The scalar head's number [B] at the token with index `last` [B] of each row. */
export function scoreAt(config: ModelConfig, p: Parameters, ids: tf.Tensor, last: tf.Tensor): tf.Tensor1D {
  const { forward, scalarHead } = architectureOf(config);
  const [B, T] = ids.shape as [number, number];
  const { hidden } = forward(config, p, ids);
  const starts = tf.range(0, B * T, T, 'int32');
  return scalarHead(config, p, tf.gather(hidden, tf.add(starts, last) as tf.Tensor1D));
}
