/** The models' outputs that losses take, at the places of a micro-batch laid out as in `rows.ts`. */
import {
  architectureOf,
  headLogprobs,
  headLogprobsAndEntropy,
  type ModelConfig,
  type Parameters,
} from '@rlhf-streams/model';
import { type RunConfig, specOf } from '@rlhf-streams/runs';
import type { Tensors } from '@rlhf-streams/tensor';
import type * as tf from '@tensorflow/tfjs';
import type { Models } from '../trainer/layout.js';
import type { ModelParameters } from '../trainer/program.js';

/** Logits [N, V] of the tokens behind the places `at` [N] of ids [B, T]. */
export const nextTokenLogits = (config: ModelConfig, p: Parameters, batch: Tensors): tf.Tensor2D =>
  architectureOf(config).languageHead(config, p, hiddenOf(config, p, batch));

/** What is asked of a policy's distributions over the next token. */
interface Distributions {
  /** Divides logits. */
  readonly temperature: number;
  /** Whether the entropy is part of the loss. */
  readonly learnsEntropy?: boolean;
}

/** Log-probs [N] of the tokens `next` [N]. */
export const nextTokenLogprobs = (
  config: ModelConfig,
  p: Parameters,
  batch: Tensors,
  temperature = 1,
): tf.Tensor =>
  headLogprobs({ ...headOf(config, p, hiddenOf(config, p, batch)), ids: batch.next!, temperature });

/** Those, and the entropy [N] of each distribution. */
export const nextTokens = (
  config: ModelConfig,
  p: Parameters,
  batch: Tensors,
  distributions: Distributions,
): { logprobs: tf.Tensor; entropy: tf.Tensor } =>
  distributionsOf(config, p, hiddenOf(config, p, batch), batch, distributions);

const distributionsOf = (
  config: ModelConfig,
  p: Parameters,
  hidden: tf.Tensor2D,
  { next }: Tensors,
  { temperature, learnsEntropy = false }: Distributions,
) => headLogprobsAndEntropy({ ...headOf(config, p, hidden), ids: next!, temperature, learnsEntropy });

const hiddenOf = (config: ModelConfig, p: Parameters, { ids, at }: Tensors): tf.Tensor2D =>
  architectureOf(config).forward(config, p, ids!, at!).hidden;

const headOf = (config: ModelConfig, p: Parameters, hidden: tf.Tensor2D) => ({
  hidden,
  output: architectureOf(config).outputMatrix(config, p),
});

export type Sampling = Extract<RunConfig, { sampling: unknown }>['sampling'];

/** What sampling divides logits by, and so must log-probs of its policy: the temperature. Greedy sampling divides by nothing. */
export const divisorOf = ({ temperature }: Sampling): number => temperature || 1;

/** The scalar head's numbers [N] at the places `at` [N] of ids [B, T]: values of states, or a reward at the last token. */
export function scalarsAt(config: ModelConfig, p: Parameters, { ids, at }: Tensors): tf.Tensor1D {
  const { forward, scalarHead } = architectureOf(config);
  return scalarHead(config, p, forward(config, p, ids!, at!).hidden);
}

/**
 * Log-probs and entropies of the policy, and values of the value model of a run. A trunk that they share is computed once, and
 * learns from both losses.
 */
export function nextTokensAndValues(
  config: RunConfig,
  models: Models,
  { policy, value }: Pick<ModelParameters, 'policy' | 'value'>,
  batch: Tensors,
  distributions: Distributions,
): { logprobs: tf.Tensor; entropy: tf.Tensor; values: tf.Tensor1D } {
  const [ofPolicy, ofValue] = [models.policy!, models.value!];
  if (!specOf(config).trains.some(({ trunk }) => trunk !== undefined))
    return {
      ...nextTokens(ofPolicy, policy, batch, distributions),
      values: scalarsAt(ofValue, value, batch),
    };
  const hidden = hiddenOf(ofPolicy, policy, batch);
  return {
    ...distributionsOf(ofPolicy, policy, hidden, batch, distributions),
    values: architectureOf(ofPolicy).scalarHead(ofValue, value, hidden),
  };
}
