/** RLHF by trust region policy optimisation (Schulman et al. 2015), with a value model of its own. */
import {
  conjugateGradient,
  explainedVariance,
  lineSearch,
  maskedMean,
  stepSize,
  surrogateLoss,
  trialLoss,
  valueLoss,
} from '@rlhf-streams/alignment';
import { epochOrder } from '@rlhf-streams/data';
import type { ConfigOf } from '@rlhf-streams/runs';
import * as tf from '@tensorflow/tfjs';
import type { Models } from '../trainer/layout.js';
import type { FisherProgram, LossProgram, MicroBatch, TrialProgram } from '../trainer/program.js';
import {
  advantagesOf,
  heldOutMetrics,
  rewardResult,
  rewardsOf,
  rolloutMetrics,
  rolloutsOf,
  sequenceOf,
} from './episodes.js';
import { divisorOf, nextTokenLogits, nextTokens, scalarsAt } from './forward.js';
import { inferPerToken, valueProgram } from './inference.js';
import { learningRate } from './learning-rate.js';
import { limitsOf, type Method, type Step } from './method.js';
import { type Sequence, sequenceBatches, sequenceInputs, tokenCount } from './rows.js';

export const trpo: Method<'trpo'> = {
  start: () => ({}),

  programs: (config, models) => ({
    gradients: { [SURROGATE]: surrogateProgram(config, models), [VALUE_LOSS]: valueLossProgram(models) },
    fisher: { [FISHER]: fisherProgram(config, models) },
    trials: { [TRIAL]: trialProgram(config, models) },
    inference: { [VALUES]: valueProgram(models) },
  }),

  async update(step, items) {
    const { config, carry } = step;
    const { klCoef } = config.trpo;

    const rollouts = rolloutsOf(step, items);
    const { rewards, ...scored } = rewardsOf(rollouts, config.trpo, { klCoef, carry });

    const sequences = rollouts.map(sequenceOf);
    const values = await inferPerToken(step, VALUES, sequences);
    const { advantages, returns } = advantagesOf(rewards, values, config.trpo);

    const oldLogprobs = rollouts.map(({ rollout }) => rollout.logprobs);
    const taken = await policyStep(step, sequences, { oldLogprobs, advantages });
    const fitted = await fitValues(step, sequences, returns);

    const episode = (carry.episode ?? 0) + rollouts.length;
    return {
      metrics: {
        ...rolloutMetrics(rollouts, rewards),
        ...scored.metrics,
        'val/var_explained': explainedVariance(values, returns),
        ...taken.metrics,
        ...fitted,
        episode,
      },
      carry: { ...scored.carry, episode },
      results: rollouts.map(({ id }, i) => ({
        item: id,
        ...rewardResult(rewards[i]!),
        entropy: [...taken.entropies[i]!],
        values: [...values[i]!],
        advantages: [...advantages[i]!],
        returns: [...returns[i]!],
      })),
    };
  },

  evaluate: async ({ config }, items) => heldOutMetrics(items, config.trpo),
};

type Config = ConfigOf<'trpo'>;
type TokenNumbers = readonly ArrayLike<number>[];

/**
 * Moves the policy by a step that the line search accepts, or not at all.
 * @param numbers of each token of each response
 * @internal
 */
export async function policyStep(
  step: Pick<Step<'trpo'>, 'config' | 'step' | 'trainer'>,
  sequences: readonly Sequence[],
  numbers: { readonly oldLogprobs: TokenNumbers; readonly advantages: TokenNumbers },
) {
  const { trainer, config } = step;
  const { delta, backtrackCoef, backtrackIterations, cgIterations, cgDamping } = config.trpo;
  const moves = trainer.lineSearch;
  const normaliser = tokenCount(sequences);
  const { batches, byToken } = sequenceBatches(sequences, limitsOf(step, 'policy'), { ...numbers });

  const { stats, outputs } = await trainer.accumulate(SURROGATE, batches, normaliser);
  const g: Float32Array = (await moves.takeGradient()).map((x) => -x);
  const ofFisher = fisherBatches(step, sequences);
  const { x, curvature, residual, iterations } = await conjugateGradient(
    (v) => moves.fisher(FISHER, ofFisher.batches, ofFisher.normaliser, v),
    g,
    { iterations: cgIterations, damping: cgDamping },
  );

  await moves.direct(x);
  await moves.snapshot();
  const attempt = async (scale: number) => {
    await moves.propose(scale);
    const { stats } = await moves.measure(TRIAL, batches, normaliser);
    return { kl: stats.kl!, improvement: -stats.loss! };
  };
  const size = stepSize(delta, curvature);
  const { trials, accepted } = await lineSearch(attempt, {
    size,
    delta,
    backtrackCoef,
    backtrackIterations,
  }).catch(async (error) => {
    await moves.restore();
    throw error;
  });
  if (!accepted) await moves.restore();

  const gradNorm = Math.sqrt(g.reduce((sum, x) => sum + x * x, 0));
  return {
    metrics: {
      'loss/policy_avg': stats.loss!,
      'val/ratio': stats.ratio!,
      'policy/entropy_avg': stats.entropy!,
      grad_norm: gradNorm,
      'cg/iterations': iterations,
      'cg/residual': gradNorm === 0 ? 0 : residual / gradNorm,
      'policy/accepted': accepted ? 1 : 0,
      'policy/line_search_steps': trials,
      'policy/step_size': accepted?.scale ?? 0,
      'policy/kl': accepted?.kl ?? 0,
      'policy/surrogate_improvement': accepted?.improvement ?? 0,
    },
    /** Of the policy before the step, one number a token. */
    entropies: byToken(outputs, 'entropy'),
  };
}

/** The responses of a step that Fisher-vector products are taken over: a function of seed and step. */
function fisherBatches(
  step: Pick<Step<'trpo'>, 'config' | 'step' | 'trainer'>,
  sequences: readonly Sequence[],
): { readonly batches: readonly MicroBatch[]; readonly normaliser: number } {
  const { seed, trpo } = step.config;
  const order = epochOrder(sequences.length, seed, step.step);
  const count = Math.ceil(trpo.fisherFraction * sequences.length);
  const drawn = Array.from(order.subarray(0, count).sort(), (i) => sequences[i]!);
  return {
    batches: sequenceBatches(drawn, limitsOf(step, 'policy')).batches,
    normaliser: tokenCount(drawn),
  };
}

/** Fits the value model to the returns, by AdamW. */
async function fitValues(
  step: Step<'trpo'>,
  sequences: readonly Sequence[],
  returns: TokenNumbers,
): Promise<Record<string, number>> {
  const lr = learningRate(step.config, step.step);
  const { batches } = sequenceBatches(sequences, limitsOf(step, 'policy'), { returns });
  let sum = 0;
  const { numValueEpochs } = step.config.trpo;
  for (let epoch = 0; epoch < numValueEpochs; epoch++) {
    const options = { normaliser: tokenCount(sequences), learningRate: lr };
    const { stats } = await step.trainer.update(VALUE_LOSS, batches, options);
    sum += stats.loss!;
  }
  return { 'loss/value_avg': sum / numValueEpochs, lr };
}

const SURROGATE = 'surrogate';
const FISHER = 'fisher';
const TRIAL = 'trial';
const VALUE_LOSS = 'value loss';
const VALUES = 'values';

/**
 * Logits as the sampling divided them: those of the policy whose log-probs came with the rollouts. All of a micro-batch are in
 * memory at once, so that its size bounds the vocabulary that this method can have.
 */
const temperedLogits = (
  { sampling }: Config,
  models: Models,
  ...[p, batch]: [Parameters<typeof nextTokenLogits>[1], Record<string, tf.Tensor>]
): tf.Tensor2D => tf.div(nextTokenLogits(models.policy!, p, batch), divisorOf(sampling)) as tf.Tensor2D;

const surrogateProgram = (config: Config, models: Models): LossProgram => ({
  roles: ['policy'],
  inputs: sequenceInputs('oldLogprobs', 'advantages'),
  loss({ policy }, batch, normaliser) {
    const { oldLogprobs, advantages, mask } = batch;
    const temperature = divisorOf(config.sampling);
    const { logprobs, entropy } = nextTokens(models.policy!, policy, batch, { temperature });
    const { loss, stats } = surrogateLoss({
      logprobs,
      oldLogprobs: oldLogprobs!,
      advantages: advantages!,
      mask: mask!,
      normaliser,
    });
    return {
      loss,
      stats: { ...stats, entropy: maskedMean(entropy, mask, normaliser) },
      outputs: { entropy },
    };
  },
});

const fisherProgram = (config: Config, models: Models): FisherProgram => ({
  roles: ['policy'],
  inputs: sequenceInputs(),
  logits: ({ policy }, batch) => temperedLogits(config, models, policy, batch),
});

const trialProgram = (config: Config, models: Models): TrialProgram => ({
  roles: ['policy'],
  inputs: sequenceInputs('oldLogprobs', 'advantages'),
  loss: ({ policy }, snapshot, batch, normaliser) =>
    trialLoss({
      logits: temperedLogits(config, models, policy, batch),
      oldLogits: temperedLogits(config, models, snapshot.policy, batch),
      ids: batch.next!,
      oldLogprobs: batch.oldLogprobs!,
      advantages: batch.advantages!,
      mask: batch.mask!,
      normaliser,
    }),
});

const valueLossProgram = (models: Models): LossProgram => ({
  roles: ['value'],
  inputs: sequenceInputs('returns'),
  loss: ({ value }, batch, normaliser) =>
    valueLoss({
      values: scalarsAt(models.value!, value, batch),
      returns: batch.returns!,
      mask: batch.mask!,
      normaliser,
    }),
});
