import { pairwiseRewardLoss, rewardRange } from '@rlhf-streams/alignment';
import type { ConfigOf, Item } from '@rlhf-streams/runs';
import { float32, int32 } from '@rlhf-streams/tensor';
import * as tf from '@tensorflow/tfjs';
import type { InferenceProgram, LossProgram, MicroBatch } from '../trainer/program.js';
import type { Trainer } from '../trainer/trainer.js';
import { scoreAt } from './forward.js';
import { learningRate } from './learning-rate.js';
import { type Method, type Metrics, modelOf } from './method.js';
import { FILLER, nothingLearned, type Pair, pairLength, pairMask, pairsOf, stack } from './pairs.js';
import { lengthOf, microBatchesOf, paddedLength, paddedRows, sequenceBatch } from './rows.js';

type Config = ConfigOf<'reward'>;

/** A reward model of pairwise preferences: the scalar head's number at a sequence's last token. */
export const reward: Method<'reward'> = {
  start: () => ({}),

  async update({ config, step, trainer, carry }, items) {
    const { pairs, batches } = batchesOf(trainer, items, config);
    if (pairs.length === 0) return nothingLearned(carry);
    const lr = learningRate(config, step);
    const sums = await trainer.update(program(trainer, config), batches, {
      normaliser: pairs.length,
      learningRate: lr,
    });
    const { loss, accuracy, margin, meanReward, gradNorm } = sums as Record<string, number>;
    return {
      metrics: {
        loss: loss!,
        accuracy: accuracy!,
        margin: margin!,
        mean_reward: meanReward!,
        pairs: pairs.length,
        grad_norm: gradNorm!,
        lr,
      },
      carry,
    };
  },

  async evaluate({ config, trainer }, items) {
    const { pairs, batches } = batchesOf(trainer, items, config);
    if (pairs.length === 0) return { 'eval/pairs': 0 };
    const sums = await trainer.evaluate(program(trainer, config), batches, pairs.length);
    const scores = await trainer.infer(scoresProgram(trainer), batches);
    const { minReward, maxReward } = rewardRange(realScores(scores, batches));
    const metrics: Metrics = {
      'eval/loss': sums.loss!,
      'eval/accuracy': sums.accuracy!,
      'eval/margin': sums.margin!,
      'eval/mean_reward': sums.meanReward!,
      'eval/min_reward': minReward,
      'eval/max_reward': maxReward,
      'eval/pairs': pairs.length,
    };
    return metrics;
  },
};

function batchesOf(trainer: Trainer, items: readonly Item[], config: Config) {
  const { contextLength } = modelOf(trainer, 'reward');
  const pairs = pairsOf(items);
  const batches = microBatchesOf(pairs, config.microBatchSize, pairLength).map((group) =>
    pairBatch(group, paddedRows(group.length, config.microBatchSize), contextLength),
  );
  return { pairs, batches };
}

/** ids [2 rows, T], last [2 rows], and margin and mask [rows]. */
function pairBatch(pairs: readonly Pair[], rows: number, contextLength: number): MicroBatch {
  const sequences = stack(pairs, rows, (pair, side) => pair[side], FILLER);
  const { specs, buffers } = sequenceBatch(sequences, {
    rows: 2 * rows,
    T: paddedLength(sequences, contextLength),
  });
  return {
    specs: { ids: specs.ids!, last: int32(2 * rows), margin: float32(rows), mask: float32(rows) },
    buffers: {
      ids: buffers.ids!,
      last: Int32Array.from(sequences, (sequence) => lengthOf(sequence) - 1),
      margin: Float32Array.from({ length: rows }, (_, i) => pairs[i]?.margin ?? 0),
      mask: pairMask(pairs, rows),
    },
  };
}

const program = (trainer: Trainer, { reward: { centerRewardsCoefficient } }: Config): LossProgram => ({
  key: `reward ${centerRewardsCoefficient}`,
  loss({ reward }, { ids, last, margin, mask }, normaliser) {
    const scores = scoreAt(modelOf(trainer, 'reward'), reward, ids!, last!);
    const [chosen, rejected] = tf.split(scores, 2) as [tf.Tensor, tf.Tensor];
    const options = { chosen, rejected, margin: margin!, centerRewardsCoefficient, mask: mask!, normaliser };
    const { loss, stats } = pairwiseRewardLoss(options);
    return { loss: loss as tf.Scalar, stats };
  },
});

const scoresProgram = (trainer: Trainer): InferenceProgram => ({
  key: 'scores',
  infer: ({ reward }, { ids, last }) => ({
    scores: scoreAt(modelOf(trainer, 'reward'), reward, ids!, last!),
  }),
});

/** Scores of pairs, without those of filler. */
function realScores(
  outputs: readonly Record<string, ArrayLike<number>>[],
  batches: readonly MicroBatch[],
): number[][] {
  return outputs.map(({ scores }, i) => {
    const mask = batches[i]!.buffers.mask!;
    return Array.from(scores!).filter((_, row) => mask[row % mask.length] === 1);
  });
}
