/** RLHF by proximal policy optimisation: Ouyang et al. 2022, step 3, with a value model of its own. */
import {
  adaptKlCoef,
  entropyFromLogits,
  explainedVariance,
  maskedMean,
  ppoPolicyLoss,
  ppoValueLoss,
  selectiveLogSoftmax,
  sftLoss,
  tokenVariance,
} from '@rlhf-streams/alignment';
import { epochOrder } from '@rlhf-streams/data';
import { type ConfigOf, joined } from '@rlhf-streams/runs';
import * as tf from '@tensorflow/tfjs';
import type { Models } from '../trainer/layout.js';
import type { LossProgram } from '../trainer/program.js';
import {
  advantagesOf,
  type Correction,
  heldOutMetrics,
  importanceCorrection,
  type Rollout,
  rewardResult,
  rewardsOf,
  rolloutMetrics,
  rolloutsOf,
  sequenceOf,
} from './episodes.js';
import { divisorOf, nextTokenLogits, nextTokenLogprobs, scalarsAt } from './forward.js';
import { inferPerToken, logprobProgram, valueProgram } from './inference.js';
import { klInputs, klLossMetrics, klNumbers, withKlLoss } from './kl-loss.js';
import { learningRate } from './learning-rate.js';
import { limitsOf, type Method, type Metrics, type Step } from './method.js';
import { type Sequence, sequenceBatches, sequenceInputs, tokenCount } from './rows.js';

export const ppo: Method<'ppo'> = {
  start: ({ ppo: { klCoef } }) => ({ klCoef }),

  programs: (config, models) => ({
    gradients: {
      [PPO]: lossProgram(config, models, { weighted: false }),
      ...(config.ppo.importanceSampling && { [WEIGHTED]: lossProgram(config, models, { weighted: true }) }),
      ...(config.ppo.ptxCoef !== undefined && { [PTX]: pretrainingProgram(config.ppo.ptxCoef, models) }),
    },
    inference: { [VALUES]: valueProgram(models), [LOGPROBS]: logprobProgram(config, models) },
  }),

  async update(step, items, { pretraining = [] }) {
    const { config, carry } = step;
    const { numPpoEpochs, numMiniBatches, adaptiveKl } = config.ppo;
    const klCoef = carry.klCoef!;

    const rollouts = rolloutsOf(step, items);
    const { rewards, ...scored } = rewardsOf(rollouts, config.ppo, { klCoef, carry });

    const values = await inferPerToken(step, VALUES, rollouts.map(sequenceOf));
    const { advantages, returns } = advantagesOf(rewards, values, config.ppo);
    const { corrections, metrics: corrected } = await importanceCorrection(step, rollouts, (sequences) =>
      inferPerToken(step, LOGPROBS, sequences),
    );
    const episodes = rollouts.map(
      (rollout, i): Episode => ({
        rollout,
        ...corrections[i]!,
        oldValues: values[i]!,
        advantages: advantages[i]!,
        returns: returns[i]!,
      }),
    );

    const texts = joined(pretraining, 'demonstration').map(({ demonstration }) => demonstration);
    const lr = learningRate(config, step.step);
    const updates: Update[] = [];
    for (let epoch = 0; epoch < numPpoEpochs; epoch++) {
      const shuffle = <T>(all: readonly T[]): T[] =>
        Array.from(epochOrder(all.length, config.seed, step.step * numPpoEpochs + epoch), (i) => all[i]!);
      const miniBatches = split(shuffle(episodes), numMiniBatches);
      const shares = inShares(shuffle(texts), miniBatches.length);
      for (const [i, miniBatch] of miniBatches.entries())
        updates.push(await updateBy(step, miniBatch, shares[i]!, lr));
    }

    const measured = rolloutMetrics(rollouts, rewards);
    const kl = measured['objective/kl']!;
    const nextKlCoef = adaptiveKl
      ? adaptKlCoef(klCoef, { kl, episodes: episodes.length, ...adaptiveKl })
      : klCoef;
    const episode = (carry.episode ?? 0) + episodes.length;
    const entropies = new Map(updates.toReversed().flatMap(({ entropies }) => [...entropies]));
    return {
      metrics: {
        ...measured,
        ...scored.metrics,
        'val/var_explained': explainedVariance(values, returns),
        'objective/kl_coef': klCoef,
        ...corrected,
        ...updateMetrics(updates),
        lr,
        episode,
      },
      carry: { klCoef: nextKlCoef, ...scored.carry, episode },
      results: episodes.map((episode, i) => ({
        item: rollouts[i]!.id,
        ...rewardResult(rewards[i]!),
        entropy: [...entropies.get(episode)!],
        values: [...episode.oldValues],
        advantages: [...episode.advantages],
        returns: [...episode.returns],
      })),
    };
  },

  evaluate: async ({ config }, items) => heldOutMetrics(items, config.ppo),
};

/** What an update needs of a rollout: a number for each token of its completion. */
interface Episode extends Correction {
  readonly rollout: Rollout;
  readonly oldValues: Float32Array;
  readonly advantages: Float64Array;
  readonly returns: Float64Array;
}

interface Update {
  readonly stats: Readonly<Record<string, number>>;
  /** The mean negative log-likelihood of its pretraining tokens, where it has any. */
  readonly ptx: number | undefined;
  /** The entropy of the policy before the update, one number a token. */
  readonly entropies: ReadonlyMap<Episode, Float32Array>;
}

/**
 * One update by a mini-batch of rollouts, and its share of the pretraining texts: the gradients of both losses are computed
 * in micro-batches, each normalised by the tokens of its own kind, and added up before the optimizer's step, as in PPO-ptx
 * (Ouyang et al. 2022, appendix C.4).
 */
async function updateBy(
  step: Step<'ppo'>,
  miniBatch: readonly Episode[],
  texts: readonly Sequence[],
  learningRate: number,
): Promise<Update> {
  const weighted = miniBatch[0]!.weights !== undefined;
  const sequences = miniBatch.map(({ rollout }) => sequenceOf(rollout));
  const { trainer } = step;
  const limits = limitsOf(step, 'policy');
  const { batches, byToken } = sequenceBatches(sequences, limits, {
    oldLogprobs: miniBatch.map(({ oldLogprobs }) => oldLogprobs),
    oldValues: miniBatch.map(({ oldValues }) => oldValues),
    advantages: miniBatch.map(({ advantages }) => advantages),
    returns: miniBatch.map(({ returns }) => returns),
    ...(weighted && { weights: miniBatch.map(({ weights }) => weights!) }),
    ...klNumbers(
      step.config.ppo.klLoss,
      miniBatch.map(({ rollout }) => rollout),
    ),
  });
  const program = weighted ? WEIGHTED : PPO;
  const { stats, outputs } = await trainer.accumulate(program, batches, tokenCount(sequences));
  const predicted = tokenCount(texts);
  const ptx =
    predicted === 0
      ? undefined
      : await trainer.accumulate(PTX, sequenceBatches(texts, limits).batches, predicted);
  const gradNorm = await trainer.apply({ learningRate });
  const entropies = byToken(outputs, 'entropy');
  return {
    stats: { ...stats, gradNorm },
    ptx: ptx?.stats.nll,
    entropies: new Map(miniBatch.map((episode, i) => [episode, entropies[i]!])),
  };
}

const PPO = 'ppo';
const WEIGHTED = 'ppo with importance weights';
const PTX = 'pretraining';
const VALUES = 'values';
const LOGPROBS = 'log-probs';

/** The clipped surrogate of the policy, and vf_coef times the clipped loss of the values. */
const lossProgram = (
  { ppo, sampling }: Config,
  models: Models,
  { weighted }: { readonly weighted: boolean },
): LossProgram => ({
  roles: ['policy', 'value'],
  inputs: sequenceInputs(
    'oldLogprobs',
    'oldValues',
    'advantages',
    'returns',
    ...(weighted ? ['weights'] : []),
    ...klInputs(ppo.klLoss),
  ),
  loss({ policy, value }, batch, normaliser) {
    const { oldLogprobs, oldValues, advantages, returns, weights } = batch;
    const mask = batch.mask!;
    const temperature = divisorOf(sampling);
    const logits = nextTokenLogits(models.policy!, policy, batch);
    const logprobs = selectiveLogSoftmax(logits, batch.next!, temperature);
    const pi = ppoPolicyLoss({
      logprobs,
      oldLogprobs: oldLogprobs!,
      advantages: advantages!,
      ...(weighted && { weights: weights! }),
      mask,
      cliprange: ppo.cliprange,
      normaliser,
    });
    const vf = ppoValueLoss({
      values: scalarsAt(models.value!, value, batch),
      oldValues: oldValues!,
      returns: returns!,
      mask,
      cliprangeValue: ppo.cliprangeValue,
      normaliser,
    });
    const entropy = entropyFromLogits(logits, temperature);
    const held = withKlLoss(ppo.klLoss, pi.loss, {
      logprobs,
      weights: weighted ? weights : undefined,
      batch,
      normaliser,
    });
    return {
      loss: tf.add(held.loss, tf.mul(ppo.vfCoef, vf.loss)) as tf.Scalar,
      stats: {
        ...pi.stats,
        ...held.stats,
        policyLoss: pi.loss,
        valueLoss: vf.loss,
        valueClipfrac: vf.stats.clipfrac,
        entropy: maskedMean(entropy, mask, normaliser),
      },
      outputs: { entropy },
    };
  },
});

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

type Config = ConfigOf<'ppo'>;

/** Means over the updates of a step, by TRL's names. */
function updateMetrics(updates: readonly Update[]): Metrics {
  const meanOf = (numbers: readonly number[]) => numbers.reduce((a, b) => a + b, 0) / numbers.length;
  const mean = (name: string) => meanOf(updates.map(({ stats }) => stats[name]!));
  const ptx = updates.flatMap((update) => update.ptx ?? []);
  return {
    'policy/approxkl_avg': mean('approxKl'),
    'policy/clipfrac_avg': mean('clipfrac'),
    'policy/entropy_avg': mean('entropy'),
    'loss/policy_avg': mean('policyLoss'),
    'loss/value_avg': mean('valueLoss'),
    ...(ptx.length > 0 && { 'loss/ptx': meanOf(ptx) }),
    'val/clipfrac_avg': mean('valueClipfrac'),
    'val/ratio': mean('ratio'),
    // The variance over updates of their mean ratios, which needs two updates.
    ...(updates.length > 1 && { 'val/ratio_var': tokenVariance([updates.map(({ stats }) => stats.ratio!)]) }),
    ...('klLoss' in updates[0]!.stats && klLossMetrics({ klLoss: mean('klLoss') })),
    grad_norm: mean('gradNorm'),
  };
}

/** At most `parts` consecutive slices of nearly equal size, none of them empty. */
function split<T>(items: readonly T[], parts: number): T[][] {
  const size = Math.ceil(items.length / parts);
  return Array.from({ length: Math.ceil(items.length / size) }, (_, i) =>
    items.slice(i * size, (i + 1) * size),
  );
}

/** As many consecutive slices as there are parts, of nearly equal size: some are empty where there are fewer items. */
const inShares = <T>(items: readonly T[], parts: number): T[][] =>
  Array.from({ length: parts }, (_, i) =>
    items.slice(Math.floor((i * items.length) / parts), Math.floor(((i + 1) * items.length) / parts)),
  );
