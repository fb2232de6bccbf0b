import { pairwiseRewardLoss, rewardRange } from '@rlhf-streams/alignment';
import type { Item } from '@rlhf-streams/runs';
import { float32, int32 } from '@rlhf-streams/tensor';
import * as tf from '@tensorflow/tfjs';
import type { BatchShape, LossProgram, MicroBatch } from '../trainer/program.js';
import { scalarsAt } from './forward.js';
import { learningRate } from './learning-rate.js';
import { limitsOf, type Method, type Metrics, type Step } from './method.js';
import {
  byCompletion,
  eachAgainstEach,
  meanMargin,
  nothingLearned,
  type Pairing,
  pairCount,
  preferenceInputs,
  preferences,
  type Ranking,
  rankingBatches,
  rankingResults,
  rankingsOf,
  sequencesOf,
  withoutFiller,
} from './rankings.js';
import { lengthOf, sequenceBatch } from './rows.js';

/** A reward model of preferences: the scalar head's number at a sequence's last token. */
export const reward: Method<'reward'> = {
  start: () => ({}),

  programs({ reward: { centerRewardsCoefficient } }, { reward: model }) {
    const loss: LossProgram = {
      roles: ['reward'],
      inputs: rankingInputs,
      loss({ reward }, batch, normaliser) {
        const scores = scalarsAt(model!, reward, batch);
        const [chosen, rejected] = eachAgainstEach(scores);
        const margin = tf.reshape(batch.margin!, [-1, 1]);
        const options = {
          chosen,
          rejected,
          margin,
          centerRewardsCoefficient,
          mask: batch.prefers!,
          normaliser,
        };
        return { ...pairwiseRewardLoss(options), outputs: { scores } };
      },
    };
    return { gradients: { reward: loss }, losses: { reward: loss } };
  },

  async update(step, items) {
    const { rankings, groups, batches } = batchesOf(step, items);
    if (rankings.length === 0) return nothingLearned(step.carry);
    const lr = learningRate(step.config, step.step);
    const { stats, outputs } = await step.trainer.update('reward', batches, {
      normaliser: rankings.length,
      learningRate: lr,
    });
    const { loss, accuracy, margin, meanReward, gradNorm } = stats;
    return {
      metrics: {
        loss: loss!,
        accuracy: accuracy!,
        margin: margin!,
        mean_reward: meanReward!,
        pairs: pairCount(rankings),
        grad_norm: gradNorm!,
        lr,
      },
      carry: step.carry,
      results: rankingResults(
        groups,
        outputs.map(({ scores }) => scores!),
        items,
        (scores, ranking) => ({
          scores: byCompletion(scores, ranking),
          margin: meanMargin(scores, ranking),
        }),
      ),
    };
  },

  async evaluate(step, items): Promise<Metrics> {
    const { rankings, groups, batches } = batchesOf(step, items);
    if (rankings.length === 0) return { 'eval/pairs': 0 };
    const { stats, outputs } = await step.trainer.evaluate('reward', batches, rankings.length);
    const { minReward, maxReward } = rewardRange(withoutFiller(groups, outputs, 'scores'));
    return {
      'eval/loss': stats.loss!,
      'eval/accuracy': stats.accuracy!,
      'eval/margin': stats.margin!,
      'eval/mean_reward': stats.meanReward!,
      'eval/min_reward': minReward,
      'eval/max_reward': maxReward,
      'eval/pairs': pairCount(rankings),
    };
  },
};

/** The pairs of each objective. */
const pairings: Record<Step<'reward'>['config']['reward']['objective'], Pairing> = {
  pairs: 'all',
  best_worst: 'best_worst',
};

const batchesOf = (step: Step<'reward'>, items: readonly Item[]) =>
  rankingBatches(
    rankingsOf(items, pairings[step.config.reward.objective]),
    limitsOf(step, 'reward'),
    rankingBatch,
  );

const rankingInputs = (shape: BatchShape) => ({
  ids: int32(shape.rows, shape.length),
  at: int32(shape.rows),
  margin: float32(shape.rows),
  ...preferenceInputs(shape),
});

/** ids [rows, length], the place of each row's last token, the margin of its comparison, and the preferences [rows, rows]. */
function rankingBatch(rankings: readonly Ranking[], shape: BatchShape): MicroBatch {
  const sequences = sequencesOf(rankings);
  const at = new Int32Array(shape.rows);
  sequences.forEach((sequence, row) => {
    at[row] = row * shape.length + lengthOf(sequence) - 1;
  });
  const margin = new Float32Array(shape.rows);
  margin.set(rankings.flatMap(({ item, sequences }) => sequences.map(() => item.comparison.margin ?? 0)));
  const { ids } = sequenceBatch(sequences, shape).buffers;
  return {
    specs: rankingInputs(shape),
    buffers: { ids: ids!, at, margin, ...preferences(rankings, shape) },
  };
}
