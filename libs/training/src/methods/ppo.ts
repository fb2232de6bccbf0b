/** RLHF by proximal policy optimisation: Ouyang et al. 2022, step 3, with a value model of its own or on the policy's trunk. */
import {
  adaptKlCoef,
  adaptPenalty,
  explainedVariance,
  klEstimate,
  tokenVariance,
} from '@rlhf-streams/alignment';
import { joined } from '@rlhf-streams/runs';
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
import { inferPerToken } from './inference.js';
import { klLossMetrics, klNumbers } from './kl-loss.js';
import { learningRate } from './learning-rate.js';
import { type Carry, limitsOf, type Method, type Metrics, type Step } from './method.js';
import { shuffled, split } from './mini-batches.js';
import { LOGPROBS, PPO, PTX, ppoPrograms, VALUES, WEIGHTED, withBeta } from './ppo-programs.js';
import { type Sequence, sequenceBatches, tokenCount } from './rows.js';

export const ppo: Method<'ppo'> = {
  start: ({ ppo: { klCoef, objective, penalty } }) => ({
    klCoef,
    ...(objective === 'penalty' && { beta: penalty.beta }),
  }),

  programs: ppoPrograms,

  async update(step, items, { pretraining = [] }) {
    const { config, carry } = step;
    const { adaptiveKl } = config.ppo;
    const klCoef = carry.klCoef!;

    const rollouts = rolloutsOf(step, items);
    const { rewards, ...scored } = rewardsOf(rollouts, config.ppo, { klCoef, carry });

    const values = await inferPerToken(step, VALUES, rollouts.map(sequenceOf));
    const { advantages, returns } = advantagesOf(rewards, values, config.ppo);
    const { corrections, metrics: corrected } = await importanceCorrection(
      step,
      rollouts,
      config.ppo.importanceSampling,
      (sequences) => inferPerToken(step, LOGPROBS, sequences),
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
    const updates = await updatesBy(step, episodes, texts, lr);
    const penalty = await penaltyAfter(step, episodes);

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
        ...(config.ppo.targetKl !== undefined && {
          'policy/updates': updates.filter(({ gradNorm }) => gradNorm !== undefined).length,
        }),
        ...penalty.metrics,
        lr,
        episode,
      },
      carry: { klCoef: nextKlCoef, ...scored.carry, ...penalty.carry, episode },
      results: episodes.map((episode, i) => ({
        item: rollouts[i]!.id,
        ...rewardResult(rewards[i]!),
        // A step that targetKl ends in its first pass has not come to all of them.
        entropy: [...(entropies.get(episode) ?? [])],
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
  /** The norm of its gradient before clipping; absent of the one that was not made, with which the step ended. */
  readonly gradNorm?: number;
  readonly stats: Readonly<Record<string, number>>;
  /** The mean negative log-likelihood of its pretraining tokens, where it has any. */
  readonly ptx?: number | undefined;
  /** The entropy of the policy before the update, one number a token. */
  readonly entropies: ReadonlyMap<Episode, Float32Array>;
}

/** Passes over the episodes and the texts of a step, each in an order of its own, unless `targetKl` ends them before. */
async function updatesBy(
  step: Step<'ppo'>,
  episodes: readonly Episode[],
  texts: readonly Sequence[],
  learningRate: number,
): Promise<Update[]> {
  const { seed, ppo } = step.config;
  const { numPpoEpochs, numMiniBatches } = ppo;
  const updates: Update[] = [];
  for (let epoch = 0; epoch < numPpoEpochs; epoch++) {
    const pass = step.step * numPpoEpochs + epoch;
    const miniBatches = split(shuffled(episodes, seed, pass), numMiniBatches);
    const shares = inShares(shuffled(texts, seed, pass), miniBatches.length);
    for (const [i, miniBatch] of miniBatches.entries()) {
      const update = await updateBy(step, miniBatch, shares[i]!, learningRate);
      updates.push(update);
      if (update.gradNorm === undefined) return updates;
    }
  }
  return updates;
}

/** How far beyond `targetKl` the policy may be for another update, as in Spinning Up and Stable-Baselines3. */
const TARGET_KL_SLACK = 1.5;

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
  const { trainer, carry } = step;
  const { objective, targetKl, klLoss } = step.config.ppo;
  const limits = limitsOf(step, 'policy');
  const { batches, byToken } = sequenceBatches(sequences, limits, {
    oldLogprobs: miniBatch.map(({ oldLogprobs }) => oldLogprobs),
    oldValues: miniBatch.map(({ oldValues }) => oldValues),
    advantages: miniBatch.map(({ advantages }) => advantages),
    returns: miniBatch.map(({ returns }) => returns),
    ...(weighted && { weights: miniBatch.map(({ weights }) => weights!) }),
    ...klNumbers(
      klLoss,
      miniBatch.map(({ rollout }) => rollout),
    ),
  });
  const program = weighted ? WEIGHTED : PPO;
  const inputs = objective === 'penalty' ? withBeta(batches, carry.beta!) : batches;
  const { stats, outputs } = await trainer.accumulate(program, inputs, tokenCount(sequences));
  const rows = byToken(outputs, 'entropy');
  const entropies = new Map(miniBatch.map((episode, i) => [episode, rows[i]!]));
  if (targetKl !== undefined && stats.approxKl! > TARGET_KL_SLACK * targetKl) {
    await trainer.clear();
    return { stats, entropies };
  }
  const predicted = tokenCount(texts);
  const ptx =
    predicted === 0
      ? undefined
      : await trainer.accumulate(PTX, sequenceBatches(texts, limits).batches, predicted);
  const gradNorm = await trainer.apply({ learningRate });
  return { gradNorm, stats, ptx: ptx?.stats.nll, entropies };
}

/** Of the objective penalty: KL(old, policy) after the updates of a step, and beta for the next one. */
async function penaltyAfter(
  step: Step<'ppo'>,
  episodes: readonly Episode[],
): Promise<{ metrics: Metrics; carry: Carry }> {
  const { objective, penalty } = step.config.ppo;
  if (objective !== 'penalty') return { metrics: {}, carry: {} };
  const sequences = episodes.map(({ rollout }) => sequenceOf(rollout));
  const logprobs = await inferPerToken(step, LOGPROBS, sequences);
  const kls = episodes.flatMap(({ oldLogprobs, weights }, i) =>
    Array.from(
      logprobs[i]!,
      (logprob, t) => (weights ? weights[t]! : 1) * klEstimate('k3', oldLogprobs[t]!, logprob),
    ),
  );
  const kl = meanOf(kls);
  const beta = step.carry.beta!;
  return {
    metrics: { 'policy/kl_old': kl, 'policy/beta': beta },
    carry: { beta: adaptPenalty(beta, { kl, target: penalty.target }) },
  };
}

const meanOf = (numbers: readonly number[]): number => numbers.reduce((a, b) => a + b, 0) / numbers.length;

/** Means over the updates of a step, by TRL's names; the one that was not made is measured too. */
function updateMetrics(updates: readonly Update[]): Metrics {
  const mean = (name: string) => meanOf(updates.map(({ stats }) => stats[name]!));
  const of = (numbers: (update: Update) => number | undefined) =>
    updates.flatMap((update) => numbers(update) ?? []);
  const [ptx, norms] = [of(({ ptx }) => ptx), of(({ gradNorm }) => gradNorm)];
  return {
    'policy/approxkl_avg': mean('approxKl'),
    ...('clipfrac' in updates[0]!.stats && { 'policy/clipfrac_avg': mean('clipfrac') }),
    'policy/entropy_avg': mean('entropy'),
    'loss/policy_avg': mean('policyLoss'),
    'loss/value_avg': mean('valueLoss'),
    ...(ptx.length > 0 && { 'loss/ptx': meanOf(ptx) }),
    'val/clipfrac_avg': mean('valueClipfrac'),
    'val/ratio': mean('ratio'),
    // The variance over updates of their mean ratios, which needs two updates.
    ...(updates.length > 1 && { 'val/ratio_var': tokenVariance([updates.map(({ stats }) => stats.ratio!)]) }),
    ...('klLoss' in updates[0]!.stats && klLossMetrics({ klLoss: mean('klLoss') })),
    ...(norms.length > 0 && { grad_norm: meanOf(norms) }),
  };
}

/** As many consecutive slices as there are parts, of nearly equal size: some are empty where there are fewer items. */
const inShares = <T>(items: readonly T[], parts: number): T[][] =>
  Array.from({ length: parts }, (_, i) =>
    items.slice(Math.floor((i * items.length) / parts), Math.floor(((i + 1) * items.length) / parts)),
  );
