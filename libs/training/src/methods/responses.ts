/** Responses as wholes: the log-probs of a micro-batch's predictions as sums over each row. */
import { type ResponseLogprobs, responseLogprobs } from '@rlhf-streams/alignment';
import { int32, type Specs, type Tensors } from '@rlhf-streams/tensor';
import * as tf from '@tensorflow/tfjs';
import type { BatchShape, MicroBatch } from '../trainer/program.js';
import { predictedTokens, type Sequence, sequenceBatch, sequenceInputs } from './rows.js';

/** The inputs that `responseBatch` fills, with log-probs under a reference or without. */
export const responseInputs = (shape: BatchShape, { reference = true } = {}): Specs => ({
  ...sequenceInputs(...(reference ? ['refLogprobs'] : []))(shape),
  places: int32(shape.rows, shape.length - 1),
});

/**
 * Besides `sequenceBatch`, `refLogprobs` [tokens] where they are given, and `places` [rows, length - 1]: the index of each
 * row's predictions among those of the micro-batch, and `tokens` for padding.
 * @param refLogprobs a number for each prediction of each sequence; none for losses without a reference
 */
export function responseBatch(
  sequences: readonly Sequence[],
  shape: BatchShape,
  refLogprobs?: readonly ArrayLike<number>[],
): MicroBatch {
  const width = shape.length - 1;
  const places = new Int32Array(shape.rows * width).fill(shape.tokens);
  let first = 0;
  sequences.forEach((sequence, row) => {
    const { length } = predictedTokens(sequence);
    for (let t = 0; t < length; t++) places[row * width + t] = first + t;
    first += length;
  });
  return {
    specs: responseInputs(shape, { reference: refLogprobs !== undefined }),
    buffers: { ...sequenceBatch(sequences, shape, refLogprobs && { refLogprobs }).buffers, places },
  };
}

/** Log-probs [N] of all predictions as sums over each row, [rows]. */
export function responsesOf(logprobs: tf.Tensor, { refLogprobs, places }: Tensors): ResponseLogprobs {
  const tokens = logprobs.shape[0]!;
  const byRow = (x: tf.Tensor) => tf.gather(tf.concat([x, tf.zeros([1])]), places as tf.Tensor2D);
  return responseLogprobs({
    logprobs: byRow(logprobs),
    refLogprobs: refLogprobs && byRow(refLogprobs),
    mask: tf.cast(tf.less(places!, tokens), 'float32'),
  });
}
