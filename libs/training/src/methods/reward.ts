import { pairwiseRewardLoss, rewardRange } from '@rlhf-streams/alignment';
import type { Item } from '@rlhf-streams/runs';
import { float32, int32 } from '@rlhf-streams/tensor';
import type { BatchShape, LossProgram, MicroBatch } from '../trainer/program.js';
import { scalarsAt } from './forward.js';
import { learningRate } from './learning-rate.js';
import { limitsOf, type Method, type Metrics, type Step } from './method.js';
import {
  chosenAndRejected,
  nothingLearned,
  type Pair,
  pairBatches,
  pairCount,
  pairMask,
  pairResults,
  pairsOf,
  rowsOf,
} from './pairs.js';
import { lengthOf, sequenceBatch } from './rows.js';

/** A reward model of pairwise preferences: the scalar head's number at a sequence's last token. */
export const reward: Method<'reward'> = {
  start: () => ({}),

  programs({ reward: { centerRewardsCoefficient } }, { reward: model }) {
    const loss: LossProgram = {
      roles: ['reward'],
      inputs: pairInputs,
      loss({ reward }, batch, normaliser) {
        const [chosen, rejected] = chosenAndRejected(scalarsAt(model!, reward, batch));
        const { margin, mask } = batch;
        const options = {
          chosen,
          rejected,
          margin: margin!,
          centerRewardsCoefficient,
          mask: mask!,
          normaliser,
        };
        return { ...pairwiseRewardLoss(options), outputs: { chosen, rejected } };
      },
    };
    return { gradients: { reward: loss }, losses: { reward: loss } };
  },

  async update(step, items) {
    const { pairs, groups, batches } = batchesOf(step, items);
    if (pairs.length === 0) return nothingLearned(step.carry);
    const lr = learningRate(step.config, step.step);
    const { stats, outputs } = await step.trainer.update('reward', batches, {
      normaliser: pairs.length,
      learningRate: lr,
    });
    const { loss, accuracy, margin, meanReward, gradNorm } = stats;
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
      carry: step.carry,
      results: pairResults(groups, outputs, items, (chosen, rejected) => ({
        score_chosen: chosen,
        score_rejected: rejected,
      })),
    };
  },

  async evaluate(step, items): Promise<Metrics> {
    const { pairs, groups, batches } = batchesOf(step, items);
    if (pairs.length === 0) return { 'eval/pairs': 0 };
    const { stats, outputs } = await step.trainer.evaluate('reward', batches, pairs.length);
    const scores = groups.flatMap(({ length }, i) =>
      [outputs[i]!.chosen!, outputs[i]!.rejected!].map((side) => side.subarray(0, length)),
    );
    const { minReward, maxReward } = rewardRange(scores);
    return {
      'eval/loss': stats.loss!,
      'eval/accuracy': stats.accuracy!,
      'eval/margin': stats.margin!,
      'eval/mean_reward': stats.meanReward!,
      'eval/min_reward': minReward,
      'eval/max_reward': maxReward,
      'eval/pairs': pairs.length,
    };
  },
};

const batchesOf = (step: Step<'reward'>, items: readonly Item[]) =>
  pairBatches(pairsOf(items), limitsOf(step, 'reward'), pairBatch);

const pairInputs = ({ rows, length }: BatchShape) => ({
  ids: int32(rows, length),
  at: int32(rows),
  margin: float32(pairCount(rows)),
  mask: float32(pairCount(rows)),
});

/** ids [rows, length], the place of each row's last token, and margin and mask [pairs]. */
function pairBatch(pairs: readonly Pair[], shape: BatchShape): MicroBatch {
  const sequences = pairs.flatMap(rowsOf);
  const at = new Int32Array(shape.rows);
  sequences.forEach((sequence, row) => {
    at[row] = row * shape.length + lengthOf(sequence) - 1;
  });
  const margin = new Float32Array(pairCount(shape.rows));
  margin.set(pairs.map(({ margin }) => margin));
  const { ids } = sequenceBatch(sequences, shape).buffers;
  return { specs: pairInputs(shape), buffers: { ids: ids!, at, margin, mask: pairMask(pairs, shape.rows) } };
}
