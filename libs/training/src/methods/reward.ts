import { bestOfNRewardLoss, pairwiseRewardLoss, rewardRange } from '@rlhf-streams/alignment';
import type { Item } from '@rlhf-streams/runs';
import { float32, int32, type Specs } from '@rlhf-streams/tensor';
import * as tf from '@tensorflow/tfjs';
import type { BatchShape, LossProgram, MicroBatch } from '../trainer/program.js';
import { scalarsAt } from './forward.js';
import { learningRate } from './learning-rate.js';
import { limitsOf, type Method, type Metrics, type Step } from './method.js';
import {
  bestInputs,
  bestRows,
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

  programs({ reward: { objective, centerRewardsCoefficient } }, { reward: model }) {
    const loss: LossProgram = {
      roles: ['reward'],
      inputs: rankingInputs(objective),
      loss({ reward }, { margin, prefers, best, rivals, ...batch }, normaliser) {
        const scores = scalarsAt(model!, reward, batch);
        const options = { centerRewardsCoefficient, normaliser };
        const outputs = { scores };
        if (objective === 'best_of_n') {
          const ranked = { scores, prefers: prefers!, best: best!, rivals: rivals! };
          return { ...bestOfNRewardLoss({ ...ranked, ...options }), outputs };
        }
        const [chosen, rejected] = eachAgainstEach(scores);
        const pairs = { chosen, rejected, margin: tf.reshape(margin!, [-1, 1]), mask: prefers! };
        return { ...pairwiseRewardLoss({ ...pairs, ...options }), outputs };
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

type Objective = Step<'reward'>['config']['reward']['objective'];

/** The pairs of each objective, whose statistics are measured. */
const pairings: Record<Objective, Pairing> = {
  pairs: 'all',
  best_of_n: 'best_rest',
  best_worst: 'best_worst',
};

function batchesOf(step: Step<'reward'>, items: readonly Item[]) {
  const { objective } = step.config.reward;
  const rankings = rankingsOf(items, pairings[objective]);
  return rankingBatches(rankings, limitsOf(step, 'reward'), (group, shape) =>
    rankingBatch(group, shape, objective),
  );
}

const rankingInputs =
  (objective: Objective) =>
  (shape: BatchShape): Specs => ({
    ids: int32(shape.rows, shape.length),
    at: int32(shape.rows),
    ...preferenceInputs(shape),
    ...(objective === 'best_of_n' ? bestInputs(shape) : { margin: float32(shape.rows) }),
  });

/** ids [rows, length], the place of each row's last token, the preferences, and what else the objective is a function of. */
function rankingBatch(rankings: readonly Ranking[], shape: BatchShape, objective: Objective): MicroBatch {
  const sequences = sequencesOf(rankings);
  const at = new Int32Array(shape.rows);
  sequences.forEach((sequence, row) => {
    at[row] = row * shape.length + lengthOf(sequence) - 1;
  });
  const { ids } = sequenceBatch(sequences, shape).buffers;
  const more = objective === 'best_of_n' ? bestRows(rankings, shape) : margins(rankings, shape);
  return {
    specs: rankingInputs(objective)(shape),
    buffers: { ids: ids!, at, ...preferences(rankings, shape), ...more },
  };
}

/** `margin` [rows]: by how much a response is to exceed those that it is preferred to, as its comparison says. */
function margins(rankings: readonly Ranking[], { rows }: BatchShape): { margin: Float32Array } {
  const margin = new Float32Array(rows);
  margin.set(rankings.flatMap(({ item, sequences }) => sequences.map(() => item.comparison.margin ?? 0)));
  return { margin };
}
