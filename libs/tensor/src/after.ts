import * as tf from '@tensorflow/tfjs';

/**
 * x, and what is computed from it is computed after `others`. Without that an engine is free to compute early what is meant
 * to come late, or to merge it with equal operations that came before: all of a loop's large intermediates may then be in
 * memory at the same time. (ONNX Runtime orders operations from the outputs backwards, depth first, the last output first.)
 *
 * The value is x + 0, with a 0 that an engine cannot know before it has the others. The gradient is that of x.
 * @param x float32, of any shape
 */
export const after = <T extends tf.Tensor>(x: T, ...others: readonly tf.Tensor[]): T =>
  tf.customGrad((...args) => {
    const [x, ...others] = args.slice(0, -1) as [tf.Tensor, ...tf.Tensor[]];
    const shapes = others.map(({ shape }) => shape);
    const zero = others.map(zeroOf).reduce((sum, zero) => tf.add(sum, zero));
    return {
      value: tf.add(x, zero),
      gradFunc: (dy: tf.Tensor) => [dy, ...shapes.map((shape) => tf.zeros(shape))],
    };
  })(x, ...others) as T;

/** 0, whatever the first number is: no magnitude is below -1. */
const zeroOf = (x: tf.Tensor): tf.Tensor =>
  tf.cast(tf.less(tf.abs(tf.reshape(tf.slice(tf.reshape(x, [x.size]), [0], [1]), [])), -1), 'float32');
