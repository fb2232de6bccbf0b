import {
  adaptKlCoef,
  entropyFromLogits,
  explainedVariance,
  gae,
  maskedMean,
  ppoPolicyLoss,
  ppoValueLoss,
  rlhfReward,
  selectiveLogSoftmax,
  tokenVariance,
  truncatedImportanceWeights,
  whiten,
} from '@rlhf-streams/alignment';
import { epochOrder } from '@rlhf-streams/data';
import { type ConfigOf, type Joined, joined } from '@rlhf-streams/runs';
import * as tf from '@tensorflow/tfjs';
import { TrainingError } from '../errors.js';
import type { InferenceProgram, LossProgram } from '../trainer/program.js';
import type { Trainer } from '../trainer/trainer.js';
import { nextTokenLogits, nextTokenLogprobs, nextTokens, stateValues } from './forward.js';
import { heldOutRollouts } from './held-out-rollouts.js';
import { learningRate } from './learning-rate.js';
import { type Method, type Metrics, modelOf } from './method.js';
import {
  completionPart,
  lengthOf,
  microBatchesOf,
  paddedLength,
  paddedRows,
  type Sequence,
  sequenceBatch,
  tokenCount,
} from './rows.js';

type Config = ConfigOf<'ppo'>;

/** A rollout with everything its update needs, one number per completion token. */
interface Experience {
  readonly sequence: Sequence;
  readonly oldLogprobs: ArrayLike<number>;
  /** Importance weight of each token, in a step that corrects for older policies. */
  readonly weights?: Float64Array;
  readonly oldValues: Float32Array;
  readonly advantages: Float64Array;
  readonly returns: Float64Array;
}

/** RLHF by proximal policy optimisation: Ouyang et al. 2022, step 3, with a value model of its own. */
export const ppo: Method<'ppo'> = {
  start: ({ ppo: { klCoef } }) => ({ klCoef }),

  async update({ config, step, trainer, carry }, items) {
    if (items.length === 0) {
      throw new TrainingError(
        'TRAINING_EMPTY_STEP',
        `expected rollouts in step ${step}, got none: every one failed, see the rollouts and dead-letters topics`,
      );
    }
    const episodes = joined(items, 'rollout', 'reward', 'reference');
    const { numPpoEpochs, numMiniBatches, adaptiveKl } = config.ppo;
    const klCoef = carry.klCoef!;
    const { experiences, metrics } = await prepare(trainer, episodes, config, step, klCoef);

    const lr = learningRate(config, step);
    const updates: Record<string, number>[] = [];
    for (let epoch = 0; epoch < numPpoEpochs; epoch++) {
      const order = Array.from(
        epochOrder(experiences.length, config.seed, step * numPpoEpochs + epoch),
        (i) => experiences[i]!,
      );
      for (const miniBatch of split(order, numMiniBatches)) {
        const normaliser = tokenCount(miniBatch.map(({ sequence }) => sequence));
        const batches = batchesOf(trainer, miniBatch, config.microBatchSize);
        const program = lossProgram(trainer, config, miniBatch[0]!.weights !== undefined);
        updates.push(await trainer.update(program, batches, { normaliser, learningRate: lr }));
      }
    }

    const nextKlCoef = adaptiveKl
      ? adaptKlCoef(klCoef, { kl: metrics['objective/kl']!, episodes: episodes.length, ...adaptiveKl })
      : klCoef;
    const episode = (carry.episode ?? 0) + episodes.length;
    return {
      metrics: { ...metrics, ...updateMetrics(updates), lr, episode },
      carry: { klCoef: nextKlCoef, episode },
    };
  },

  evaluate: async ({ config }, items) => heldOutRollouts(config, items),
};

/** Values, rewards, advantages and returns of a step's rollouts, and the metrics that follow from them before any update. */
async function prepare(
  trainer: Trainer,
  episodes: readonly Joined<'rollout' | 'reward' | 'reference'>[],
  config: Config,
  step: number,
  klCoef: number,
) {
  const { gamma, lam, whitenRewards, klEstimator, missingEosPenalty } = config.ppo;
  const sequences = episodes.map(({ rollout }) => rollout as Sequence);
  const values = await valuesOf(trainer, sequences, config.microBatchSize);
  const correction = await correctionFor(trainer, episodes, config, step);

  const rlhf = episodes.map(({ rollout, reward, reference }) =>
    rlhfReward(
      {
        logprobs: rollout.logprobs,
        refLogprobs: reference.logprobs[0]!,
        score: reward.score,
        endedWithEos: rollout.finishReason === 'stop',
      },
      { klCoef, klEstimator, missingEosPenalty },
    ),
  );
  const rewards = rlhf.map(({ rewards }) => rewards);
  const shaped = whitenRewards ? whiten(rewards, { shiftMean: false }) : rewards;
  const estimates = shaped.map((rewards, i) => gae({ rewards, values: values[i]! }, { gamma, lam }));
  const advantages = whiten(estimates.map(({ advantages }) => advantages));
  const returns = estimates.map(({ returns }) => returns);

  const mean = (of: (index: number) => number) =>
    episodes.reduce((sum, _, i) => sum + of(i), 0) / episodes.length;
  const metrics: Metrics = {
    'objective/kl': mean((i) => rlhf[i]!.kl),
    'objective/entropy': mean((i) => rlhf[i]!.entropy),
    'objective/non_score_reward': mean((i) => rlhf[i]!.nonScoreReward),
    'objective/rlhf_reward': mean((i) => rlhf[i]!.rlhfReward),
    'objective/scores': mean((i) => rlhf[i]!.score),
    'objective/kl_coef': klCoef,
    'val/num_eos_tokens': episodes.filter(({ rollout }) => rollout.finishReason === 'stop').length,
    'val/var_explained': explainedVariance(values, returns),
    'rollout/length': mean((i) => episodes[i]!.rollout.tokens.length),
    'rollout/staleness': mean((i) => stalenessOf(episodes[i]!)),
    'rollout/staleness_max': Math.max(...episodes.map(stalenessOf)),
    ...meanParts(episodes),
    ...correction.metrics,
  };
  const experiences = episodes.map(
    ({ rollout }, i): Experience => ({
      sequence: sequences[i]!,
      oldLogprobs: rollout.logprobs,
      ...correction.of?.[i],
      oldValues: values[i]!,
      advantages: advantages[i]!,
      returns: returns[i]!,
    }),
  );
  return { experiences, metrics };
}

/** Number of versions by which the policy that sampled is older than the one that is trained. */
const stalenessOf = ({ rollout }: Joined<'rollout'>): number => rollout.step - rollout.policyVersion;

interface Correction {
  /** One entry for each rollout; absent where the policy that is trained sampled them all, or nothing is to be corrected. */
  readonly of?: readonly (Required<Pick<Experience, 'oldLogprobs' | 'weights'>> & { truncated: number })[];
  readonly metrics: Metrics;
}

/**
 * The decoupled objective for rollouts of older policies (Hilton et al. 2022): the clip is around the proximal policy, which
 * is the policy at the beginning of the step, and importance weights correct for the behaviour policy, which sampled. For
 * rollouts of the policy itself both are the same, with the log-probs that came with them, and the weights are 1.
 */
async function correctionFor(
  trainer: Trainer,
  episodes: readonly Joined<'rollout'>[],
  config: Config,
  step: number,
): Promise<Correction> {
  const { importanceSampling } = config.ppo;
  if (!importanceSampling) return { metrics: {} };
  // A replay with other hyperparameters trains a policy that sampled none of its rollouts.
  const older = episodes.filter(
    ({ rollout }) => rollout.run !== config.run || rollout.policyVersion !== step,
  );
  const sequences = older.map(({ rollout }) => rollout as Sequence);
  const logprobs = await logprobsOf(trainer, sequences, config);
  const proximal = new Map(older.map((episode, i) => [episode, logprobs[i]!]));
  const of = episodes.map((episode) => {
    const oldLogprobs = proximal.get(episode) ?? episode.rollout.logprobs;
    const tokens = { proximalLogprobs: oldLogprobs, behaviourLogprobs: episode.rollout.logprobs };
    return { oldLogprobs, ...truncatedImportanceWeights(tokens, importanceSampling) };
  });
  const weights = of.flatMap(({ weights }) => [...weights]);
  const metrics = {
    'sampling/importance_sampling_ratio/min': weights.reduce((a, b) => Math.min(a, b)),
    'sampling/importance_sampling_ratio/mean': weights.reduce((a, b) => a + b) / weights.length,
    'sampling/importance_sampling_ratio/max': weights.reduce((a, b) => Math.max(a, b)),
    'sampling/importance_sampling_ratio/truncated':
      of.reduce((sum, { truncated }) => sum + truncated, 0) / weights.length,
  };
  return { metrics, ...(older.length > 0 && { of }) };
}

/** The mean of every scorer, also of those that only report, over the rollouts to which it applies. */
function meanParts(episodes: readonly Joined<'reward'>[]): Metrics {
  const names = new Set(episodes.flatMap(({ reward }) => Object.keys(reward.parts)));
  return Object.fromEntries(
    [...names].flatMap((name) => {
      const scores = episodes.flatMap(({ reward }) => reward.parts[name] ?? []);
      if (scores.length === 0) return [];
      return [[`scores/${name}`, scores.reduce((sum, score) => sum + score, 0) / scores.length] as const];
    }),
  );
}

/** V of every completion token's state, in the order of the sequences. */
const valuesOf = (trainer: Trainer, sequences: readonly Sequence[], rows: number): Promise<Float32Array[]> =>
  inferPerToken(trainer, valueProgram(trainer), sequences, {
    rows,
    contextLength: modelOf(trainer, 'value').contextLength,
  });

/** Log-probs of completion tokens under the policy as it is, in the order of the sequences. */
const logprobsOf = (
  trainer: Trainer,
  sequences: readonly Sequence[],
  { microBatchSize, sampling }: Config,
): Promise<Float32Array[]> =>
  inferPerToken(trainer, logprobProgram(trainer, sampling), sequences, {
    rows: microBatchSize,
    contextLength: modelOf(trainer, 'policy').contextLength,
  });

/** The one output of a program, a number per prediction, for every completion token in the order of the sequences. */
async function inferPerToken(
  trainer: Trainer,
  program: InferenceProgram,
  sequences: readonly Sequence[],
  { rows, contextLength }: { readonly rows: number; readonly contextLength: number },
): Promise<Float32Array[]> {
  const groups = microBatchesOf(
    sequences.map((sequence, index) => ({ sequence, index })),
    rows,
    ({ sequence }) => lengthOf(sequence),
  ).map((members) => ({
    members,
    T: paddedLength(
      members.map(({ sequence }) => sequence),
      contextLength,
    ),
  }));
  const batches = groups.map(({ members, T }) =>
    sequenceBatch(
      members.map(({ sequence }) => sequence),
      { rows: paddedRows(members.length, rows), T },
    ),
  );
  const outputs = await trainer.infer(program, batches);
  const numbers: Float32Array[] = [];
  groups.forEach(({ members, T }, k) => {
    members.forEach(({ sequence, index }, row) => {
      numbers[index] = completionPart(outputs[k]!.perToken!, row, T, sequence);
    });
  });
  return numbers;
}

function batchesOf(trainer: Trainer, experiences: readonly Experience[], rows: number) {
  const { contextLength } = modelOf(trainer, 'policy');
  return microBatchesOf(experiences, rows, ({ sequence }) => lengthOf(sequence)).map((group) => {
    const sequences = group.map(({ sequence }) => sequence);
    const weights = group.flatMap(({ weights }) => (weights ? [weights] : []));
    return sequenceBatch(
      sequences,
      { rows: paddedRows(group.length, rows), T: paddedLength(sequences, contextLength) },
      {
        oldLogprobs: group.map(({ oldLogprobs }) => oldLogprobs),
        ...(weights.length > 0 && { weights }),
        oldValues: group.map(({ oldValues }) => oldValues),
        advantages: group.map(({ advantages }) => advantages),
        returns: group.map(({ returns }) => returns),
      },
    );
  });
}

const valueProgram = (trainer: Trainer): InferenceProgram => ({
  key: 'values',
  infer: ({ value }, { ids }) => ({ perToken: stateValues(modelOf(trainer, 'value'), value, ids!) }),
});

const logprobProgram = (trainer: Trainer, sampling: Config['sampling']): InferenceProgram => ({
  key: `logprobs ${sampling.temperature}`,
  infer: ({ policy }, { ids }) => ({
    perToken: nextTokenLogprobs(modelOf(trainer, 'policy'), policy, ids!, divisorOf(sampling)),
  }),
});

/** Sampling divides logits by the temperature, and so must log-probs of its policy; greedy sampling divides by nothing. */
const divisorOf = ({ temperature }: Config['sampling']): number => temperature || 1;

const lossProgram = (trainer: Trainer, { ppo, sampling }: Config, weighted: boolean): LossProgram => ({
  key: `ppo ${ppo.cliprange} ${ppo.cliprangeValue} ${ppo.vfCoef} ${sampling.temperature} ${weighted}`,
  loss({ policy, value }, { ids, mask, oldLogprobs, weights, oldValues, advantages, returns }, normaliser) {
    const temperature = divisorOf(sampling);
    const logits = nextTokenLogits(modelOf(trainer, 'policy'), policy, ids!);
    const pi = ppoPolicyLoss({
      logprobs: selectiveLogSoftmax(logits, nextTokens(ids!), temperature),
      oldLogprobs: oldLogprobs!,
      advantages: advantages!,
      ...(weighted && { weights: weights! }),
      mask: mask!,
      cliprange: ppo.cliprange,
      normaliser,
    });
    const vf = ppoValueLoss({
      values: stateValues(modelOf(trainer, 'value'), value, ids!),
      oldValues: oldValues!,
      returns: returns!,
      mask: mask!,
      cliprangeValue: ppo.cliprangeValue,
      normaliser,
    });
    const entropy = maskedMean(entropyFromLogits(logits, temperature), mask!, normaliser);
    return {
      loss: tf.add(pi.loss, tf.mul(ppo.vfCoef, vf.loss)) as tf.Scalar,
      stats: {
        ...pi.stats,
        policyLoss: pi.loss,
        valueLoss: vf.loss,
        valueClipfrac: vf.stats.clipfrac,
        entropy,
      },
    };
  },
});

/** Means over the updates of a step, by TRL's names. */
function updateMetrics(updates: readonly Record<string, number>[]): Metrics {
  const mean = (name: string) => updates.reduce((sum, update) => sum + update[name]!, 0) / updates.length;
  return {
    'policy/approxkl_avg': mean('approxKl'),
    'policy/clipfrac_avg': mean('clipfrac'),
    'policy/entropy_avg': mean('entropy'),
    'loss/policy_avg': mean('policyLoss'),
    'loss/value_avg': mean('valueLoss'),
    'val/clipfrac_avg': mean('valueClipfrac'),
    'val/ratio': mean('ratio'),
    // The variance over updates of their mean ratios, which needs two updates.
    ...(updates.length > 1 && { 'val/ratio_var': tokenVariance([updates.map(({ ratio }) => ratio!)]) }),
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
