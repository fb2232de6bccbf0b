import { bestOfNRewardLoss, pairwiseRewardLoss, rewardRange } from '@rlhf-streams/alignment';
import { type Item, joined } from '@rlhf-streams/runs';
import { float32, int32, type Specs } from '@rlhf-streams/tensor';
import * as tf from '@tensorflow/tfjs';
import type { BatchShape, InferenceProgram, LossProgram, MicroBatch } from '../trainer/program.js';
import { scalarsAt } from './forward.js';
import { learningRate } from './learning-rate.js';
import { limitsOf, type Method, type Metrics, type Step, type StepResult } from './method.js';
import {
  bestInputs,
  bestRows,
  eachAgainstEach,
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
import { cutIntoBatches, lengthOf, type Sequence, sequenceBatch } from './rows.js';

/** A reward model of preferences: the scalar head's number at a sequence's last token. */
export const reward: Method<'reward'> = {
  start: () => ({}),

  programs({ demonstrations, reward: { objective, centerRewardsCoefficient } }, { reward: model }) {
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
    const scores: InferenceProgram = {
      roles: ['reward'],
      inputs: lastTokenInputs,
      infer: ({ reward }, batch) => ({ scores: scalarsAt(model!, reward, batch) }),
    };
    return {
      gradients: { reward: loss },
      losses: { reward: loss },
      ...(demonstrations !== undefined && { inference: { scores } }),
    };
  },

  async update(step, items, { demonstrations = [] }) {
    const learned = await learn(step, items);
    if (demonstrations.length === 0) return learned;
    const scoreOffset = await meanScore(step, demonstrations);
    return {
      ...learned,
      metrics: { ...learned.metrics, score_offset: scoreOffset },
      carry: { scoreOffset },
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

  // Of any other step the offset is not known: the carry has none.
  published: (config, { scoreOffset: offset }) =>
    offset === undefined ? config : { ...config, head: { kind: 'scalar', labels: 1, offset } },
};

/** The carry is empty afterwards: an offset is of the weights that it was computed by. */
async function learn(step: Step<'reward'>, items: readonly Item[]): Promise<StepResult> {
  const { rankings, groups, batches } = batchesOf(step, items);
  if (rankings.length === 0) return nothingLearned({});
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
    carry: {},
    results: rankingResults(groups, outputs, items, { from: 'scores', to: 'scores' }),
  };
}

/** The mean score of demonstrations by the weights after the step. */
async function meanScore(step: Step<'reward'>, items: readonly Item[]): Promise<number> {
  const limits = limitsOf(step, 'reward');
  const demonstrations = joined(items, 'demonstration').map(({ demonstration }) => demonstration);
  const { groups, batches } = cutIntoBatches(demonstrations, limits, (one) => [one], lastTokenBatch);
  const outputs = await step.trainer.infer('scores', batches);
  const scores = groups.flatMap((group, i) => [...outputs[i]!.scores!.subarray(0, group.length)]);
  return scores.reduce((sum, score) => sum + score, 0) / scores.length;
}

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
    ...lastTokenInputs(shape),
    ...preferenceInputs(shape),
    ...(objective === 'best_of_n' ? bestInputs(shape) : { margin: float32(shape.rows) }),
  });

/** Rankings as `lastTokenBatch` with the preferences, and what else the objective is a function of. */
function rankingBatch(rankings: readonly Ranking[], shape: BatchShape, objective: Objective): MicroBatch {
  const { buffers } = lastTokenBatch(sequencesOf(rankings), shape);
  const more = objective === 'best_of_n' ? bestRows(rankings, shape) : margins(rankings, shape);
  return {
    specs: rankingInputs(objective)(shape),
    buffers: { ...buffers, ...preferences(rankings, shape), ...more },
  };
}

const lastTokenInputs = ({ rows, length }: BatchShape): Specs => ({
  ids: int32(rows, length),
  at: int32(rows),
});

/** ids [rows, length], and `at` [rows], the place of each row's last token. */
function lastTokenBatch(sequences: readonly Sequence[], shape: BatchShape): MicroBatch {
  const at = new Int32Array(shape.rows);
  sequences.forEach((sequence, row) => {
    at[row] = row * shape.length + lengthOf(sequence) - 1;
  });
  const { ids } = sequenceBatch(sequences, shape).buffers;
  return { specs: lastTokenInputs(shape), buffers: { ids: ids!, at } };
}

/** `margin` [rows]: by how much a response is to exceed those that it is preferred to, as its comparison says. */
function margins(rankings: readonly Ranking[], { rows }: BatchShape): { margin: Float32Array } {
  const margin = new Float32Array(rows);
  margin.set(rankings.flatMap(({ item, sequences }) => sequences.map(() => item.comparison.margin ?? 0)));
  return { margin };
}
