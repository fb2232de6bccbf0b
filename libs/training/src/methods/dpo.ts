import { dpoLoss, responseLogprobs } from '@rlhf-streams/alignment';
import { type ConfigOf, type Item, joined } from '@rlhf-streams/runs';
import { float32 } from '@rlhf-streams/tensor';
import * as tf from '@tensorflow/tfjs';
import type { LossProgram, MicroBatch } from '../trainer/program.js';
import type { Trainer } from '../trainer/trainer.js';
import { nextTokenLogprobs } from './forward.js';
import { learningRate } from './learning-rate.js';
import { type Method, type Metrics, modelOf } from './method.js';
import { FILLER, nothingLearned, type Pair, pairLength, pairMask, pairsOf, stack } from './pairs.js';
import { microBatchesOf, paddedLength, paddedRows, sequenceBatch } from './rows.js';

type Config = ConfigOf<'dpo'>;

/** Direct preference optimisation: the policy itself as the reward model of the comparisons. */
export const dpo: Method<'dpo'> = {
  start: () => ({}),

  async update({ config, step, trainer, carry }, items) {
    const { pairs, batches } = batchesOf(trainer, items, config);
    if (pairs.length === 0) return nothingLearned(carry);
    const lr = learningRate(config, step);
    const sums = await trainer.update(program(trainer, config), batches, {
      normaliser: pairs.length,
      learningRate: lr,
    });
    const metrics = { ...metricsOf(sums), pairs: pairs.length, grad_norm: sums.gradNorm!, lr };
    return { metrics, carry };
  },

  async evaluate({ config, trainer }, items) {
    const { pairs, batches } = batchesOf(trainer, items, config);
    if (pairs.length === 0) return { 'eval/pairs': 0 };
    const sums = await trainer.evaluate(program(trainer, config), batches, pairs.length);
    const metrics = { ...metricsOf(sums), pairs: pairs.length };
    return Object.fromEntries(Object.entries(metrics).map(([name, value]) => [`eval/${name}`, value]));
  },
};

const metricsOf = (sums: Readonly<Record<string, number>>): Metrics => ({
  loss: sums.loss!,
  'rewards/chosen': sums.rewardsChosen!,
  'rewards/rejected': sums.rewardsRejected!,
  'rewards/accuracies': sums.rewardsAccuracies!,
  'rewards/margins': sums.rewardsMargins!,
  'logps/chosen': sums.logpsChosen!,
  'logps/rejected': sums.logpsRejected!,
});

function batchesOf(trainer: Trainer, items: readonly Item[], config: Config) {
  const { contextLength } = modelOf(trainer, 'policy');
  const pairs = pairsOf(joined(items, 'reference'));
  const batches = microBatchesOf(pairs, config.microBatchSize, pairLength).map((group) =>
    pairBatch(group, paddedRows(group.length, config.microBatchSize), contextLength),
  );
  return { pairs, batches };
}

/** ids [2 rows, T], mask and refLogprobs [2 rows, T - 1], pairs [rows]. */
function pairBatch(pairs: readonly Pair[], rows: number, contextLength: number): MicroBatch {
  const sequences = stack(pairs, rows, (pair, side) => pair[side], FILLER);
  const refLogprobs = stack<readonly number[]>(
    pairs,
    rows,
    ({ item, places }, side) => item.reference!.logprobs[places[side === 'chosen' ? 0 : 1]]!,
    [],
  );
  const T = paddedLength(sequences, contextLength);
  const { specs, buffers } = sequenceBatch(sequences, { rows: 2 * rows, T }, { refLogprobs });
  return {
    specs: { ...specs, pairs: float32(rows) },
    buffers: { ...buffers, pairs: pairMask(pairs, rows) },
  };
}

const program = (trainer: Trainer, { dpo: { beta, lossType, labelSmoothing } }: Config): LossProgram => ({
  key: `dpo ${lossType} ${beta} ${labelSmoothing}`,
  loss({ policy }, { ids, mask, refLogprobs, pairs }, normaliser) {
    const logprobs = nextTokenLogprobs(modelOf(trainer, 'policy'), policy, ids!);
    const both = [logprobs, refLogprobs!, mask!].map((x) => tf.split(x, 2) as [tf.Tensor, tf.Tensor]);
    const side = (i: 0 | 1) =>
      responseLogprobs({ logprobs: both[0]![i], refLogprobs: both[1]![i], mask: both[2]![i] });
    const { loss, stats } = dpoLoss({
      chosen: side(0),
      rejected: side(1),
      beta,
      lossType,
      labelSmoothing,
      mask: pairs!,
      normaliser,
    });
    return { loss: loss as tf.Scalar, stats };
  },
});
