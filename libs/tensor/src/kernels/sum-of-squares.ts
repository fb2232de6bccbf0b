import * as tf from '@tensorflow/tfjs';
import { kernel } from './kernel.js';

/** The name under which engines may have the sum of squares. */
export const SUM_OF_SQUARES = 'SumOfSquares';

const named = kernel(SUM_OF_SQUARES, (tensors: Readonly<Record<string, tf.Tensor>>) => ({
  sum: Object.values(tensors)
    .map((tensor) => tf.sum(tf.square(tensor)))
    .reduce((sum, squares) => tf.add(sum, squares)) as tf.Tensor,
}));

/**
 * The sum of the squares of all numbers of some tensors, as a kernel of our own name: the square of the norm of a
 * gradient. The ONNX engines sum tensors of the state in float64, in fixed blocks that are added in their order, and
 * round once; see {@link adamWKernel} for the programs in which they do.
 */
export const sumOfSquares = (tensors: readonly tf.Tensor[]): tf.Scalar =>
  named(Object.fromEntries(tensors.map((tensor, i) => [i, tensor])), {}).sum as tf.Scalar;
