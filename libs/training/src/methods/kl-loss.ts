/** KL from the reference as a term of a loss, where a run asks for it: its input, its term and its metric. */
import { klLoss } from '@rlhf-streams/alignment';
import type { ConfigOf, Joined } from '@rlhf-streams/runs';
import * as tf from '@tensorflow/tfjs';
import type { Metrics } from './method.js';

type KlLoss = ConfigOf<'ppo'>['ppo']['klLoss'];

/** Names of the inputs that the term takes, by token. */
export const klInputs = (settings: KlLoss): readonly string[] => (settings ? ['refLogprobs'] : []);

/** Numbers for those inputs. */
export const klNumbers = (
  settings: KlLoss,
  rollouts: readonly Joined<'reference'>[],
): Record<string, readonly number[][]> =>
  settings ? { refLogprobs: rollouts.map(({ reference }) => reference.logprobs[0]!) } : {};

/**
 * The loss of the policy with coef times its KL added.
 * @param of log-probs and constant weights by token, in the batch that has the inputs
 */
export function withKlLoss(
  settings: KlLoss,
  loss: tf.Scalar,
  of: {
    readonly logprobs: tf.Tensor;
    readonly weights?: tf.Tensor | undefined;
    readonly batch: Readonly<Record<string, tf.Tensor>>;
    readonly normaliser: tf.Scalar;
  },
): { loss: tf.Scalar; stats: Record<string, tf.Scalar> } {
  if (!settings) return { loss, stats: {} };
  const { logprobs, weights, batch, normaliser } = of;
  const { refLogprobs, mask } = batch;
  const options = { estimator: settings.estimator, weights, mask: mask!, normaliser };
  const kl = klLoss({ logprobs, refLogprobs: refLogprobs!, ...options });
  return { loss: tf.add(loss, tf.mul(settings.coef, kl.loss)), stats: { klLoss: kl.loss } };
}

/** The KL before it is weighted, as an update measured it. */
export const klLossMetrics = ({ klLoss }: Readonly<Record<string, number>>): Metrics =>
  klLoss === undefined ? {} : { 'loss/kl_avg': klLoss };
