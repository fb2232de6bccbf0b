import { sftLoss } from '@rlhf-streams/alignment';
import { type Item, joined } from '@rlhf-streams/runs';
import * as tf from '@tensorflow/tfjs';
import type { LossProgram } from '../trainer/program.js';
import { nextTokenLogprobs } from './forward.js';
import { learningRate } from './learning-rate.js';
import { limitsOf, type Method, type Metrics, type Step, type StepResult } from './method.js';
import { lengthOf, sequenceBatches, sequenceInputs, tokenCount } from './rows.js';

/** Supervised fine-tuning: imitate the demonstrations. */
export const sft: Method<'sft'> = {
  start: () => ({}),

  programs(_config, { policy: model }) {
    const loss = {
      roles: ['policy'] as const,
      inputs: sequenceInputs(),
      loss: ({ policy }, batch, normaliser) => {
        const logprobs = nextTokenLogprobs(model!, policy, batch);
        const { loss, stats } = sftLoss({ logprobs, mask: batch.mask!, normaliser });
        return { loss, stats, outputs: { losses: tf.neg(logprobs) } };
      },
    } satisfies LossProgram;
    return { gradients: { sft: loss }, losses: { sft: loss } };
  },

  async update(step, items): Promise<StepResult> {
    const { batches, byToken, scored, read } = batchesOf(step, items);
    const numTokens = (step.carry.numTokens ?? 0) + read;
    if (scored === 0) return { metrics: { num_tokens: numTokens }, carry: { numTokens } };
    const lr = learningRate(step.config, step.step);
    const { stats, outputs } = await step.trainer.update('sft', batches, {
      normaliser: scored,
      learningRate: lr,
    });
    return {
      metrics: { loss: stats.loss!, grad_norm: stats.gradNorm!, lr, num_tokens: numTokens },
      carry: { numTokens },
      results: byToken(outputs, 'losses').map((losses, i) => ({ item: items[i]!.id, losses: [...losses] })),
    };
  },

  async evaluate(step, items): Promise<Metrics> {
    const { batches, scored } = batchesOf(step, items);
    if (scored === 0) return { 'eval/completion_tokens': 0 };
    const { loss } = (await step.trainer.evaluate('sft', batches, scored)).stats;
    return { 'eval/loss': loss!, 'eval/perplexity': Math.exp(loss!), 'eval/completion_tokens': scored };
  },
};

/** The micro-batches of demonstrations; `scored` is the number of predicted tokens, `read` that of all tokens. */
function batchesOf(step: Step<'sft'>, items: readonly Item[]) {
  const sequences = joined(items, 'demonstration').map(({ demonstration }) => demonstration);
  return {
    ...sequenceBatches(sequences, limitsOf(step, 'policy')),
    scored: tokenCount(sequences),
    read: sequences.reduce((sum, sequence) => sum + lengthOf(sequence), 0),
  };
}
