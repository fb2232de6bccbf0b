import { ktoLoss, mismatchedKl } from '@rlhf-streams/alignment';
import { type Item, type Joined, joined } from '@rlhf-streams/runs';
import { float32, type Specs } from '@rlhf-streams/tensor';
import * as tf from '@tensorflow/tfjs';
import type { BatchShape, InferenceProgram, LossProgram, MicroBatch } from '../trainer/program.js';
import { nextTokenLogprobs } from './forward.js';
import { learningRate } from './learning-rate.js';
import { inItemOrder, limitsOf, type Method, type Metrics, ofHeldOut, type Step } from './method.js';
import { responseBatch, responseInputs, responsesOf } from './responses.js';
import { cutIntoBatches, type Sequence, sequenceBatches, sequenceInputs } from './rows.js';

/**
 * Kahneman-Tversky optimisation, in two passes over a step: the KL of the whole batch, from the mismatched completions, and
 * then the losses, which take it as an input. So micro-batches change nothing.
 */
export const kto: Method<'kto'> = {
  start: () => ({}),

  programs({ kto: { beta, desirableWeight, undesirableWeight } }, { policy: model }) {
    const loss: LossProgram = {
      roles: ['policy'],
      inputs: thumbInputs,
      loss({ policy }, batch, normaliser) {
        const responses = responsesOf(nextTokenLogprobs(model!, policy, batch), batch);
        const { labels, kl, rowMask: mask } = batch;
        const weights = { beta, desirableWeight, undesirableWeight };
        return {
          ...ktoLoss({
            responses,
            labels: labels!,
            kl: kl as tf.Scalar,
            ...weights,
            mask: mask!,
            normaliser,
          }),
          outputs: { rewards: tf.mul(beta, responses.logratios) },
        };
      },
    };
    const logprobs: InferenceProgram = {
      roles: ['policy'],
      inputs: sequenceInputs(),
      infer: ({ policy }, batch) => ({ logprobs: nextTokenLogprobs(model!, policy, batch) }),
    };
    return { gradients: { kto: loss }, losses: { kto: loss }, inference: { [LOGPROBS]: logprobs } };
  },

  async update(step, items) {
    if (items.length === 0) return { metrics: {}, carry: step.carry };
    const { thumbs, groups, batches, kl } = await batchesOf(step, items);
    const lr = learningRate(step.config, step.step);
    const { stats, outputs } = await step.trainer.update('kto', batches, {
      normaliser: thumbs.length,
      learningRate: lr,
    });
    const results = groups.flatMap((group, i) =>
      group.map(({ id, thumb: { label } }, row) => ({
        item: id,
        label: Number(label),
        reward: outputs[i]!.rewards![row]!,
      })),
    );
    return {
      metrics: { ...metricsOf(stats, thumbs, kl), grad_norm: stats.gradNorm!, lr },
      carry: step.carry,
      results: inItemOrder(results, items),
    };
  },

  async evaluate(step, items): Promise<Metrics> {
    if (items.length === 0) return {};
    const { thumbs, batches, kl } = await batchesOf(step, items);
    const { stats } = await step.trainer.evaluate('kto', batches, thumbs.length);
    return ofHeldOut(metricsOf(stats, thumbs, kl));
  },
};

const LOGPROBS = 'log-probs';

type Thumb = Joined<'thumb' | 'reference'>;

/** The micro-batches of a step's thumbs, which its KL is part of. */
async function batchesOf(step: Step<'kto'>, items: readonly Item[]) {
  const thumbs = joined(items, 'thumb', 'reference');
  const limits = limitsOf(step, 'policy');
  const kl = await klOf(step, thumbs);
  const cut = cutIntoBatches(
    thumbs,
    limits,
    (thumb) => [sequenceOf(thumb)],
    (group, shape) => thumbBatch(group, shape, kl),
  );
  return { thumbs, ...cut, kl };
}

const sequenceOf = ({ thumb: { promptTokens, tokens } }: Thumb): Sequence => ({ promptTokens, tokens });

/** KL(policy, reference), estimated from the completions of other prompts. */
async function klOf(step: Step<'kto'>, thumbs: readonly Thumb[]): Promise<number> {
  const mismatched = thumbs.map(({ thumb: { promptTokens, mismatched: tokens } }) => ({
    promptTokens,
    tokens,
  }));
  const { batches, byToken } = sequenceBatches(mismatched, limitsOf(step, 'policy'));
  const logprobs = byToken(await step.trainer.infer(LOGPROBS, batches), 'logprobs');
  const logratios = thumbs.map(({ reference }, i) =>
    logprobs[i]!.reduce((sum, lp, t) => sum + lp - reference.logprobs[MISMATCHED]![t]!, 0),
  );
  return mismatchedKl(logratios);
}

/** Rows of a thumb's log-probs under the reference. */
const [OWN, MISMATCHED] = [0, 1] as const;

const thumbInputs = (shape: BatchShape): Specs => ({
  ...responseInputs(shape, { reference: true }),
  labels: float32(shape.rows),
  rowMask: float32(shape.rows),
  kl: float32(),
});

/** `labels` [rows], 1 for a thumb up; `rowMask` [rows], 0 for filler; `kl`, of the whole batch. */
function thumbBatch(group: readonly Thumb[], shape: BatchShape, kl: number): MicroBatch {
  const { buffers } = responseBatch(
    group.map(sequenceOf),
    shape,
    group.map(({ reference }) => reference.logprobs[OWN]!),
  );
  const labels = new Float32Array(shape.rows);
  labels.set(group.map(({ thumb }) => Number(thumb.label)));
  const rowMask = new Float32Array(shape.rows).fill(1, 0, group.length);
  return { specs: thumbInputs(shape), buffers: { ...buffers, labels, rowMask, kl: Float32Array.of(kl) } };
}

/** TRL's metrics: means over thumbs up, over thumbs down, and their difference, of those that the step has. */
function metricsOf(
  { loss, ...stats }: Readonly<Record<string, number>>,
  thumbs: readonly Thumb[],
  kl: number,
): Metrics {
  const up = thumbs.filter(({ thumb }) => thumb.label).length;
  const down = thumbs.length - up;
  const chosen = (share: number) => (share * thumbs.length) / up;
  const rejected = (share: number) => (share * thumbs.length) / down;
  return {
    loss: loss!,
    kl,
    ...(up > 0 && {
      'rewards/chosen': chosen(stats.rewardsChosen!),
      'logps/chosen': chosen(stats.logpsChosen!),
    }),
    ...(down > 0 && {
      'rewards/rejected': rejected(stats.rewardsRejected!),
      'logps/rejected': rejected(stats.logpsRejected!),
    }),
    ...(up > 0 &&
      down > 0 && {
        'rewards/margins': chosen(stats.rewardsChosen!) - rejected(stats.rewardsRejected!),
      }),
    'thumbs/up': up,
    'thumbs/down': down,
  };
}
