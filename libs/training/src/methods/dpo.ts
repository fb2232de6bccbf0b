import { dpoLoss, responseLogprobs } from '@rlhf-streams/alignment';
import { type Item, joined } from '@rlhf-streams/runs';
import { float32, int32, type Tensors } from '@rlhf-streams/tensor';
import * as tf from '@tensorflow/tfjs';
import type { BatchShape, LossProgram, MicroBatch } from '../trainer/program.js';
import { nextTokenLogprobs } from './forward.js';
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
import { predictedTokens, sequenceBatch, sequenceInputs } from './rows.js';

/** Direct preference optimisation: the policy itself as the reward model of the comparisons. */
export const dpo: Method<'dpo'> = {
  start: () => ({}),

  programs({ dpo: { beta, lossType, labelSmoothing } }, { policy: model }) {
    const loss: LossProgram = {
      roles: ['policy'],
      inputs: pairInputs,
      loss({ policy }, batch, normaliser) {
        const { logps, logratios, lengths } = responses(nextTokenLogprobs(model!, policy, batch), batch);
        const [chosen, rejected] = [0, 1].map((side) => ({
          logps: chosenAndRejected(logps)[side]!,
          logratios: chosenAndRejected(logratios)[side]!,
          lengths: chosenAndRejected(lengths)[side]!,
        })) as [Parameters<typeof dpoLoss>[0]['chosen'], Parameters<typeof dpoLoss>[0]['rejected']];
        const mask = batch.pairs!;
        return {
          ...dpoLoss({ chosen, rejected, beta, lossType, labelSmoothing, mask, normaliser }),
          outputs: { chosen: tf.mul(beta, chosen.logratios), rejected: tf.mul(beta, rejected.logratios) },
        };
      },
    };
    return { gradients: { dpo: loss }, losses: { dpo: loss } };
  },

  async update(step, items) {
    const { pairs, groups, batches } = batchesOf(step, items);
    if (pairs.length === 0) return nothingLearned(step.carry);
    const lr = learningRate(step.config, step.step);
    const { stats, outputs } = await step.trainer.update('dpo', batches, {
      normaliser: pairs.length,
      learningRate: lr,
    });
    return {
      metrics: { ...metricsOf(stats), pairs: pairs.length, grad_norm: stats.gradNorm!, lr },
      carry: step.carry,
      results: pairResults(groups, outputs, items, (chosen, rejected) => ({
        reward_chosen: chosen,
        reward_rejected: rejected,
        margin: chosen - rejected,
      })),
    };
  },

  async evaluate(step, items): Promise<Metrics> {
    const { pairs, batches } = batchesOf(step, items);
    if (pairs.length === 0) return { 'eval/pairs': 0 };
    const { stats } = await step.trainer.evaluate('dpo', batches, pairs.length);
    const metrics = { ...metricsOf(stats), pairs: pairs.length };
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
  pairBatches(pairsOf(joined(items, 'reference')), limitsOf(step, 'policy'), pairBatch);

const pairInputs = (shape: BatchShape) => ({
  ...sequenceInputs('refLogprobs')(shape),
  places: int32(shape.rows, shape.length - 1),
  pairs: float32(pairCount(shape.rows)),
});

/**
 * Besides `sequenceBatch`, `places` [rows, length - 1] has the index of each row's predictions among those of the micro-batch,
 * and `tokens` for padding; `pairs` [pairs] is 1 for pairs and 0 for filler.
 */
function pairBatch(pairs: readonly Pair[], shape: BatchShape): MicroBatch {
  const sequences = pairs.flatMap(rowsOf);
  const refLogprobs = pairs.flatMap(({ item, places }) =>
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
    specs: pairInputs(shape),
    buffers: {
      ...sequenceBatch(sequences, shape, { refLogprobs }).buffers,
      places,
      pairs: pairMask(pairs, shape.rows),
    },
  };
}

/** Log-probs [N] of all predictions as sums over each row, [rows]. */
function responses(logprobs: tf.Tensor, { refLogprobs, places }: Tensors) {
  const tokens = logprobs.shape[0]!;
  const byRow = (x: tf.Tensor) => tf.gather(tf.concat([x, tf.zeros([1])]), places as tf.Tensor2D);
  return responseLogprobs({
    logprobs: byRow(logprobs),
    refLogprobs: byRow(refLogprobs!),
    mask: tf.cast(tf.less(places!, tokens), 'float32'),
  });
}
