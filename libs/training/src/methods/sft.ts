import { sftLoss } from '@rlhf-streams/alignment';
import type * as tf from '@tensorflow/tfjs';
import { type Item, joined } from '../item.js';
import type { LossProgram } from '../trainer/program.js';
import type { Trainer } from '../trainer/trainer.js';
import { nextTokenLogprobs } from './forward.js';
import { learningRate } from './learning-rate.js';
import { type Method, modelOf } from './method.js';
import { lengthOf, microBatchesOf, paddedLength, type Sequence, sequenceBatch } from './rows.js';

/** Supervised fine-tuning: imitate the demonstrations. */
export const sft: Method<'sft'> = {
  name: 'sft',
  trains: ['policy'],
  start: () => ({}),

  async update({ config, step, trainer, memory }, items) {
    const { batches, tokens } = layOut(trainer, items, config.microBatchSize);
    const lr = learningRate(config, step);
    const { loss, gradNorm } = await trainer.update(program(trainer), batches, {
      normaliser: tokens,
      learningRate: lr,
    });
    return { metrics: { loss: loss!, grad_norm: gradNorm!, lr, num_tokens: tokens }, memory };
  },

  async evaluate({ config, trainer }, items) {
    const { batches, tokens } = layOut(trainer, items, config.microBatchSize);
    const { loss } = await trainer.evaluate(program(trainer), batches, tokens);
    return { 'eval/loss': loss!, 'eval/perplexity': Math.exp(loss!), 'eval/num_tokens': tokens };
  },
};

function layOut(trainer: Trainer, items: readonly Item[], rows: number) {
  const { contextLength } = modelOf(trainer, 'policy');
  const sequences: Sequence[] = joined(items, 'demonstration').map(({ demonstration }) => demonstration);
  const batches = microBatchesOf(sequences, rows, lengthOf).map((group) =>
    sequenceBatch(group, { rows, T: paddedLength(group, contextLength) }),
  );
  const tokens = batches.reduce(
    (sum, { buffers }) => sum + (buffers.mask as Float32Array).reduce((a, b) => a + b, 0),
    0,
  );
  return { batches, tokens };
}

const program = (trainer: Trainer): LossProgram => ({
  key: 'sft',
  loss({ policy }, { ids, mask }, normaliser) {
    const logprobs = nextTokenLogprobs(modelOf(trainer, 'policy'), policy, ids!);
    const { loss, stats } = sftLoss({ logprobs, mask: mask!, normaliser });
    return { loss: loss as tf.Scalar, stats };
  },
});
