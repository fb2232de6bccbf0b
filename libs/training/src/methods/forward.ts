/** The models' outputs that losses take, at the places of a micro-batch laid out as in `rows.ts`. */
import { selectiveLogSoftmax } from '@rlhf-streams/alignment';
import { architectureOf, type ModelConfig, type Parameters } from '@rlhf-streams/model';
import { type RunConfig, specOf } from '@rlhf-streams/runs';
import type { Tensors } from '@rlhf-streams/tensor';
import type * as tf from '@tensorflow/tfjs';
import type { Models } from '../trainer/layout.js';
import type { ModelParameters } from '../trainer/program.js';

/** Logits [N, V] of the tokens behind the places `at` [N] of ids [B, T]. */
export function nextTokenLogits(config: ModelConfig, p: Parameters, { ids, at }: Tensors): tf.Tensor2D {
  const { forward, languageHead } = architectureOf(config);
  return languageHead(config, p, forward(config, p, ids!, at!).hidden);
}

/** Log-probs [N] of the tokens `next` [N]. */
export const nextTokenLogprobs = (
  config: ModelConfig,
  p: Parameters,
  batch: Tensors,
  temperature = 1,
): tf.Tensor => selectiveLogSoftmax(nextTokenLogits(config, p, batch), batch.next!, temperature);

export type Sampling = Extract<RunConfig, { sampling: unknown }>['sampling'];

/** What sampling divides logits by, and so must log-probs of its policy: the temperature. Greedy sampling divides by nothing. */
export const divisorOf = ({ temperature }: Sampling): number => temperature || 1;

/** The scalar head's numbers [N] at the places `at` [N] of ids [B, T]: values of states, or a reward at the last token. */
export function scalarsAt(config: ModelConfig, p: Parameters, { ids, at }: Tensors): tf.Tensor1D {
  const { forward, scalarHead } = architectureOf(config);
  return scalarHead(config, p, forward(config, p, ids!, at!).hidden);
}

/** Both, of the policy and the value model of a run. A trunk that they share is computed once, and learns from both losses. */
export function logitsAndValues(
  config: RunConfig,
  models: Models,
  { policy, value }: Pick<ModelParameters, 'policy' | 'value'>,
  batch: Tensors,
): { logits: tf.Tensor2D; values: tf.Tensor1D } {
  const [ofPolicy, ofValue] = [models.policy!, models.value!];
  if (!specOf(config).trains.some(({ trunk }) => trunk !== undefined))
    return { logits: nextTokenLogits(ofPolicy, policy, batch), values: scalarsAt(ofValue, value, batch) };
  const { forward, languageHead, scalarHead } = architectureOf(ofPolicy);
  const { hidden } = forward(ofPolicy, policy, batch.ids!, batch.at!);
  return { logits: languageHead(ofPolicy, policy, hidden), values: scalarHead(ofValue, value, hidden) };
}
