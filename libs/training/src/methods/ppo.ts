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
  whiten,
} from '@rlhf-streams/alignment';
import { epochOrder } from '@rlhf-streams/data';
import * as tf from '@tensorflow/tfjs';
import type { ConfigOf } from '../config/run-config.js';
import { TrainingError } from '../errors.js';
import { type Joined, joined } from '../item.js';
import type { InferenceProgram, LossProgram } from '../trainer/program.js';
import type { Trainer } from '../trainer/trainer.js';
import { nextTokenLogits, nextTokens, stateValues } from './forward.js';
import { learningRate } from './learning-rate.js';
import { type Method, type Metrics, modelOf } from './method.js';
import {
  completionPart,
  lengthOf,
  microBatchesOf,
  paddedLength,
  type Sequence,
  sequenceBatch,
  tokenCount,
} from './rows.js';

type Config = ConfigOf<'ppo'>;

/** A rollout with everything its update needs, one number a completion token. */
interface Experience {
  readonly sequence: Sequence;
  readonly oldLogprobs: readonly number[];
  readonly oldValues: Float32Array;
  readonly advantages: Float64Array;
  readonly returns: Float64Array;
}

/** RLHF by proximal policy optimisation: Ouyang et al. 2022, step 3, with a value model of its own. */
export const ppo: Method<'ppo'> = {
  name: 'ppo',
  trains: ['policy', 'value'],
  start: ({ ppo: { klCoef } }) => ({ klCoef }),

  async update({ config, step, trainer, memory }, items) {
    if (items.length === 0) {
      throw new TrainingError(
        'TRAINING_EMPTY_STEP',
        `expected rollouts in step ${step}, got none: every one failed, see the rollouts and dead-letters topics`,
      );
    }
    const episodes = joined(items, 'rollout', 'reward', 'reference');
    const { numPpoEpochs, numMiniBatches, adaptiveKl } = config.ppo;
    const klCoef = memory.klCoef!;
    const { experiences, metrics } = await prepare(trainer, episodes, config, klCoef);

    const lr = learningRate(config, step);
    const updates: Record<string, number>[] = [];
    for (let epoch = 0; epoch < numPpoEpochs; epoch++) {
      const order = Array.from(
        epochOrder(experiences.length, config.seed, step * numPpoEpochs + epoch),
        (i) => experiences[i]!,
      );
      for (const miniBatch of split(order, numMiniBatches)) {
        const normaliser = tokenCount(miniBatch.map(({ sequence }) => sequence));
        const batches = layOut(trainer, miniBatch, config.microBatchSize);
        updates.push(
          await trainer.update(lossProgram(trainer, config), batches, { normaliser, learningRate: lr }),
        );
      }
    }

    const nextKlCoef = adaptiveKl
      ? adaptKlCoef(klCoef, { kl: metrics['objective/kl']!, episodes: episodes.length, ...adaptiveKl })
      : klCoef;
    return {
      metrics: { ...metrics, ...updateMetrics(updates), lr, episode: (step + 1) * episodes.length },
      memory: { klCoef: nextKlCoef },
    };
  },
};

/** Values, rewards, advantages and returns of a step's rollouts, and what the rollouts themselves say. */
async function prepare(
  trainer: Trainer,
  episodes: readonly Joined<'rollout' | 'reward' | 'reference'>[],
  config: Config,
  klCoef: number,
) {
  const { gamma, lam, whitenRewards, klEstimator, missingEosPenalty } = config.ppo;
  const sequences = episodes.map(({ rollout }) => rollout as Sequence);
  const values = await valuesOf(trainer, sequences, config.microBatchSize);

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
    'rollout/staleness': mean((i) => episodes[i]!.rollout.step - episodes[i]!.rollout.policyVersion),
    ...meanParts(episodes),
  };
  const experiences = episodes.map(
    ({ rollout }, i): Experience => ({
      sequence: sequences[i]!,
      oldLogprobs: rollout.logprobs,
      oldValues: values[i]!,
      advantages: advantages[i]!,
      returns: returns[i]!,
    }),
  );
  return { experiences, metrics };
}

/** The mean of every scorer, also of those that only report. */
function meanParts(episodes: readonly Joined<'reward'>[]): Metrics {
  const names = Object.keys(episodes[0]!.reward.parts);
  return Object.fromEntries(
    names.map((name) => [
      `scores/${name}`,
      episodes.reduce((sum, { reward }) => sum + reward.parts[name]!, 0) / episodes.length,
    ]),
  );
}

/** V of every completion token's state, in the order of the sequences. */
async function valuesOf(
  trainer: Trainer,
  sequences: readonly Sequence[],
  rows: number,
): Promise<Float32Array[]> {
  const { contextLength } = modelOf(trainer, 'value');
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
      { rows, T },
    ),
  );
  const outputs = await trainer.infer(valueProgram(trainer), batches);
  const values: Float32Array[] = [];
  groups.forEach(({ members, T }, k) => {
    members.forEach(({ sequence, index }, row) => {
      values[index] = completionPart(outputs[k]!.values!, row, T, sequence);
    });
  });
  return values;
}

function layOut(trainer: Trainer, experiences: readonly Experience[], rows: number) {
  const { contextLength } = modelOf(trainer, 'policy');
  return microBatchesOf(experiences, rows, ({ sequence }) => lengthOf(sequence)).map((group) => {
    const sequences = group.map(({ sequence }) => sequence);
    return sequenceBatch(
      sequences,
      { rows, T: paddedLength(sequences, contextLength) },
      {
        oldLogprobs: group.map(({ oldLogprobs }) => oldLogprobs),
        oldValues: group.map(({ oldValues }) => oldValues),
        advantages: group.map(({ advantages }) => advantages),
        returns: group.map(({ returns }) => returns),
      },
    );
  });
}

const valueProgram = (trainer: Trainer): InferenceProgram => ({
  key: 'values',
  infer: ({ value }, { ids }) => ({ values: stateValues(modelOf(trainer, 'value'), value, ids!) }),
});

const lossProgram = (trainer: Trainer, { ppo, sampling }: Config): LossProgram => ({
  key: `ppo ${ppo.cliprange} ${ppo.cliprangeValue} ${ppo.vfCoef} ${sampling.temperature}`,
  loss({ policy, value }, { ids, mask, oldLogprobs, oldValues, advantages, returns }, normaliser) {
    // The policy that sampled is the one with its logits divided by the temperature; greedy log-probs are undivided.
    const temperature = sampling.temperature || 1;
    const logits = nextTokenLogits(modelOf(trainer, 'policy'), policy, ids!);
    const pi = ppoPolicyLoss({
      logprobs: selectiveLogSoftmax(logits, nextTokens(ids!), temperature),
      oldLogprobs: oldLogprobs!,
      advantages: advantages!,
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
    'val/ratio_var': Math.max(0, mean('ratioSquared') - mean('ratio') ** 2),
    grad_norm: mean('gradNorm'),
  };
}

/** `parts` runs of like size; none is empty. */
function split<T>(items: readonly T[], parts: number): T[][] {
  const size = Math.ceil(items.length / parts);
  return Array.from({ length: Math.ceil(items.length / size) }, (_, i) =>
    items.slice(i * size, (i + 1) * size),
  );
}
