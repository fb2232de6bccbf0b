/** What PPO asks its trainer for: the gradients of its losses, values, and log-probs. */
import { maskedMean, ppoPenaltyLoss, ppoPolicyLoss, ppoValueLoss, sftLoss } from '@rlhf-streams/alignment';
import type { ConfigOf } from '@rlhf-streams/runs';
import { float32, type Tensors } from '@rlhf-streams/tensor';
import * as tf from '@tensorflow/tfjs';
import type { Models } from '../trainer/layout.js';
import type { BatchShape, LossProgram, MicroBatch, Programs } from '../trainer/program.js';
import { divisorOf, nextTokenLogprobs, nextTokensAndValues } from './forward.js';
import { logprobProgram, valueProgram } from './inference.js';
import { klInputs, withKlLoss } from './kl-loss.js';
import { sequenceInputs } from './rows.js';

type Config = ConfigOf<'ppo'>;

export const PPO = 'ppo';
export const WEIGHTED = 'ppo with importance weights';
export const PTX = 'pretraining';
export const VALUES = 'values';
export const LOGPROBS = 'log-probs';

export const ppoPrograms = (config: Config, models: Models): Programs => ({
  gradients: {
    [PPO]: lossProgram(config, models, { weighted: false }),
    ...(config.ppo.importanceSampling && { [WEIGHTED]: lossProgram(config, models, { weighted: true }) }),
    ...(config.ppo.ptxCoef !== undefined && { [PTX]: pretrainingProgram(config.ppo.ptxCoef, models) }),
  },
  inference: { [VALUES]: valueProgram(models), [LOGPROBS]: logprobProgram(config, models) },
});

/** Micro-batches with beta, which is another one in every step. */
export const withBeta = (batches: readonly MicroBatch[], beta: number): MicroBatch[] =>
  batches.map(({ specs, buffers }) => ({
    specs: { ...specs, beta: float32() },
    buffers: { ...buffers, beta: Float32Array.of(beta) },
  }));

/** The surrogate of the policy, vf_coef times the clipped loss of the values, and what a run adds to them. */
const lossProgram = (
  config: Config,
  models: Models,
  { weighted }: { readonly weighted: boolean },
): LossProgram => {
  const { ppo, sampling } = config;
  return {
    roles: ['policy', 'value'],
    inputs: (shape: BatchShape) => ({
      ...sequenceInputs(
        'oldLogprobs',
        'oldValues',
        'advantages',
        'returns',
        ...(weighted ? ['weights'] : []),
        ...klInputs(ppo.klLoss),
      )(shape),
      ...(ppo.objective === 'penalty' && { beta: float32() }),
    }),
    loss({ policy, value }, batch, normaliser) {
      const { oldValues, returns, weights } = batch;
      const mask = batch.mask!;
      const { logprobs, entropy, values } = nextTokensAndValues(config, models, { policy, value }, batch, {
        temperature: divisorOf(sampling),
        learnsEntropy: ppo.entropyCoef !== 0,
      });
      const pi = policyLoss(ppo, { logprobs, batch, weighted, normaliser });
      const vf = ppoValueLoss({
        values,
        oldValues: oldValues!,
        returns: returns!,
        mask,
        cliprangeValue: ppo.cliprangeValue,
        normaliser,
      });
      const meanEntropy = maskedMean(entropy, mask, normaliser);
      const held = withKlLoss(ppo.klLoss, pi.loss, {
        logprobs,
        weights: weighted ? weights : undefined,
        batch,
        normaliser,
      });
      const policyTerms =
        ppo.entropyCoef === 0 ? held.loss : tf.sub(held.loss, tf.mul(ppo.entropyCoef, meanEntropy));
      return {
        loss: tf.add(policyTerms, tf.mul(ppo.vfCoef, vf.loss)) as tf.Scalar,
        stats: {
          ...pi.stats,
          ...held.stats,
          policyLoss: pi.loss,
          valueLoss: vf.loss,
          valueClipfrac: vf.stats.clipfrac,
          entropy: meanEntropy,
        },
        outputs: { entropy },
      };
    },
  };
};

function policyLoss(
  { objective, cliprange, cliprangeHigh, dualClip }: Config['ppo'],
  {
    logprobs,
    batch: { oldLogprobs, advantages, weights, mask, beta },
    weighted,
    normaliser,
  }: {
    readonly logprobs: tf.Tensor;
    readonly batch: Tensors;
    readonly weighted: boolean;
    readonly normaliser: tf.Scalar;
  },
) {
  const tokens = {
    logprobs,
    oldLogprobs: oldLogprobs!,
    advantages: advantages!,
    ...(weighted && { weights: weights! }),
    mask: mask!,
    normaliser,
  };
  return objective === 'penalty'
    ? ppoPenaltyLoss({ ...tokens, beta: beta as tf.Scalar })
    : ppoPolicyLoss({ ...tokens, cliprange, cliprangeHigh, dualClip });
}

/** ptx_coef times the negative log-likelihood of texts, by the policy itself: no temperature divides its logits. */
const pretrainingProgram = (ptxCoef: number, models: Models): LossProgram => ({
  roles: ['policy'],
  inputs: sequenceInputs(),
  loss({ policy }, batch, normaliser) {
    const logprobs = nextTokenLogprobs(models.policy!, policy, batch);
    const { loss } = sftLoss({ logprobs, mask: batch.mask!, normaliser });
    return { loss: tf.mul(ptxCoef, loss), stats: { nll: loss } };
  },
});
