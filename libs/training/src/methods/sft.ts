import { sftLoss } from '@rlhf-streams/alignment';
import { type Item, joined } from '@rlhf-streams/runs';
import type * as tf from '@tensorflow/tfjs';
import type { LossProgram } from '../trainer/program.js';
import type { Trainer } from '../trainer/trainer.js';
import { nextTokenLogprobs } from './forward.js';
import { learningRate } from './learning-rate.js';
import { type Method, type Metrics, modelOf, type StepResult } from './method.js';
import { lengthOf, microBatchesOf, paddedLength, paddedRows, type Sequence, sequenceBatch } from './rows.js';

/** Supervised fine-tuning: imitate the demonstrations. */
export const sft: Method<'sft'> = {
  start: () => ({}),

  async update({ config, step, trainer, carry }, items): Promise<StepResult> {
    const { batches, scored, read } = batchesOf(trainer, items, config.microBatchSize);
    const numTokens = (carry.numTokens ?? 0) + read;
    if (scored === 0) return { metrics: { num_tokens: numTokens }, carry: { numTokens } };
    const lr = learningRate(config, step);
    const { loss, gradNorm } = await trainer.update(program(trainer), batches, {
      normaliser: scored,
      learningRate: lr,
    });
    return {
      metrics: { loss: loss!, grad_norm: gradNorm!, lr, num_tokens: numTokens },
      carry: { numTokens },
    };
  },

  async evaluate({ config, trainer }, items): Promise<Metrics> {
    const { batches, scored } = batchesOf(trainer, items, config.microBatchSize);
    if (scored === 0) return { 'eval/completion_tokens': 0 };
    const { loss } = await trainer.evaluate(program(trainer), batches, scored);
    return { 'eval/loss': loss!, 'eval/perplexity': Math.exp(loss!), 'eval/completion_tokens': scored };
  },
};

/** The micro-batches of demonstrations; `scored` is the number of predicted tokens, `read` that of all tokens. */
function batchesOf(trainer: Trainer, items: readonly Item[], microBatchSize: number) {
  const { contextLength } = modelOf(trainer, 'policy');
  const sequences: Sequence[] = joined(items, 'demonstration').map(({ demonstration }) => demonstration);
  const batches = microBatchesOf(sequences, microBatchSize, lengthOf).map((group) =>
    sequenceBatch(group, {
      rows: paddedRows(group.length, microBatchSize),
      T: paddedLength(group, contextLength),
    }),
  );
  const scored = batches.reduce(
    (sum, { buffers }) => sum + (buffers.mask as Float32Array).reduce((a, b) => a + b, 0),
    0,
  );
  return { batches, scored, read: sequences.reduce((sum, sequence) => sum + lengthOf(sequence), 0) };
}

const program = (trainer: Trainer): LossProgram => ({
  key: 'sft',
  loss({ policy }, { ids, mask }, normaliser) {
    const logprobs = nextTokenLogprobs(modelOf(trainer, 'policy'), policy, ids!);
    const { loss, stats } = sftLoss({ logprobs, mask: mask!, normaliser });
    return { loss: loss as tf.Scalar, stats };
  },
});
