import * as tf from '@tensorflow/tfjs';
import { kernel } from './kernel.js';

/**
 * A tensor of the state with some of its rows replaced, as `tf.tensorScatterUpdate` gives it: for programs that go on with
 * what they write. It has to be what becomes of the tensor (`next`), which the program may use otherwise for the updates
 * alone: an engine may write the rows where they lie, and give the tensor itself. No program may make such a tensor what
 * another one is, or two of them the same zeros: they could then be one.
 *
 * Indices [N, k] int32 into the first k dimensions of `tensor`, all of them within it, and updates
 * [N, ...tensor.shape.slice(k)]. Where indices are equal, so must be their updates.
 */
export const updatedRows = kernel(
  'UpdatedRows',
  ({
    tensor,
    indices,
    updates,
  }: {
    readonly tensor: tf.Tensor;
    readonly indices: tf.Tensor;
    readonly updates: tf.Tensor;
  }) => ({ updated: tf.tensorScatterUpdate(tensor, indices, updates) }),
);
