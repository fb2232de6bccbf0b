import { dpoLoss, responseLogprobs } from '@rlhf-streams/alignment';
import { type Item, joined } from '@rlhf-streams/runs';
import { int32, type Tensors } from '@rlhf-streams/tensor';
import * as tf from '@tensorflow/tfjs';
import type { BatchShape, LossProgram, MicroBatch } from '../trainer/program.js';
import { nextTokenLogprobs } from './forward.js';
import { learningRate } from './learning-rate.js';
import { limitsOf, type Method, type Metrics, type Step } from './method.js';
import {
  byCompletion,
  eachAgainstEach,
  meanMargin,
  nothingLearned,
  pairCount,
  preferenceInputs,
  preferences,
  type Ranking,
  rankingBatches,
  rankingResults,
  rankingsOf,
  sequencesOf,
} from './rankings.js';
import { predictedTokens, sequenceBatch, sequenceInputs } from './rows.js';

/** Direct preference optimisation: the policy itself as the reward model of the comparisons. */
export const dpo: Method<'dpo'> = {
  start: () => ({}),

  programs({ dpo: { beta, lossType, labelSmoothing } }, { policy: model }) {
    const loss: LossProgram = {
      roles: ['policy'],
      inputs: rankingInputs,
      loss({ policy }, batch, normaliser) {
        const responses = responsesOf(nextTokenLogprobs(model!, policy, batch), batch);
        const side = (place: 0 | 1) => ({
          logps: eachAgainstEach(responses.logps)[place],
          logratios: eachAgainstEach(responses.logratios)[place],
          lengths: eachAgainstEach(responses.lengths)[place],
        });
        const sides = { chosen: side(0), rejected: side(1), mask: batch.prefers! };
        return {
          ...dpoLoss({ ...sides, beta, lossType, labelSmoothing, normaliser }),
          outputs: { rewards: tf.mul(beta, responses.logratios) },
        };
      },
    };
    return { gradients: { dpo: loss }, losses: { dpo: loss } };
  },

  async update(step, items) {
    const { rankings, groups, batches } = batchesOf(step, items);
    if (rankings.length === 0) return nothingLearned(step.carry);
    const lr = learningRate(step.config, step.step);
    const { stats, outputs } = await step.trainer.update('dpo', batches, {
      normaliser: rankings.length,
      learningRate: lr,
    });
    return {
      metrics: { ...metricsOf(stats), pairs: pairCount(rankings), grad_norm: stats.gradNorm!, lr },
      carry: step.carry,
      results: rankingResults(
        groups,
        outputs.map(({ rewards }) => rewards!),
        items,
        (rewards, ranking) => ({
          rewards: byCompletion(rewards, ranking),
          margin: meanMargin(rewards, ranking),
        }),
      ),
    };
  },

  async evaluate(step, items): Promise<Metrics> {
    const { rankings, batches } = batchesOf(step, items);
    if (rankings.length === 0) return { 'eval/pairs': 0 };
    const { stats } = await step.trainer.evaluate('dpo', batches, rankings.length);
    const metrics = { ...metricsOf(stats), pairs: pairCount(rankings) };
    return Object.fromEntries(Object.entries(metrics).map(([name, value]) => [`eval/${name}`, value]));
  },
};

const metricsOf = (stats: Readonly<Record<string, number>>): Metrics => ({
  loss: stats.loss!,
  'rewards/chosen': stats.rewardsChosen!,
  'rewards/rejected': stats.rewardsRejected!,
  'rewards/accuracies': stats.rewardsAccuracies!,
  'rewards/margins': stats.rewardsMargins!,
  'logps/chosen': stats.logpsChosen!,
  'logps/rejected': stats.logpsRejected!,
});

const batchesOf = (step: Step<'dpo'>, items: readonly Item[]) =>
  rankingBatches(
    rankingsOf(joined(items, 'reference'), step.config.dpo.pairs),
    limitsOf(step, 'policy'),
    rankingBatch,
  );

const rankingInputs = (shape: BatchShape) => ({
  ...sequenceInputs('refLogprobs')(shape),
  places: int32(shape.rows, shape.length - 1),
  ...preferenceInputs(shape),
});

/**
 * Besides `sequenceBatch` and the preferences, `places` [rows, length - 1] has the index of each row's predictions among
 * those of the micro-batch, and `tokens` for padding.
 */
function rankingBatch(rankings: readonly Ranking[], shape: BatchShape): MicroBatch {
  const sequences = sequencesOf(rankings);
  const refLogprobs = rankings.flatMap(({ item, places }) =>
    places.map((place) => item.reference!.logprobs[place]!),
  );
  const width = shape.length - 1;
  const places = new Int32Array(shape.rows * width).fill(shape.tokens);
  let first = 0;
  sequences.forEach((sequence, row) => {
    const { length } = predictedTokens(sequence);
    for (let t = 0; t < length; t++) places[row * width + t] = first + t;
    first += length;
  });
  return {
    specs: rankingInputs(shape),
    buffers: {
      ...sequenceBatch(sequences, shape, { refLogprobs }).buffers,
      places,
      ...preferences(rankings, shape),
    },
  };
}

/** Log-probs [N] of all predictions as sums over each row, [rows]. */
function responsesOf(logprobs: tf.Tensor, { refLogprobs, places }: Tensors) {
  const tokens = logprobs.shape[0]!;
  const byRow = (x: tf.Tensor) => tf.gather(tf.concat([x, tf.zeros([1])]), places as tf.Tensor2D);
  return responseLogprobs({
    logprobs: byRow(logprobs),
    refLogprobs: byRow(refLogprobs!),
    mask: tf.cast(tf.less(places!, tokens), 'float32'),
  });
}
