import * as tf from '@tensorflow/tfjs';

/**
 * x, and what is computed from it is computed after `other`. Without that an engine is free to compute early what is meant
 * to come late, or to merge it with equal operations that came before: all of a loop's large intermediates may then be in
 * memory at the same time. (ONNX Runtime orders operations from the outputs backwards, depth first.)
 *
 * The value is x + 0, with a 0 that an engine cannot know before it has `other`. The gradient is that of x.
 * @param x float32, of any shape
 */
export const after = <T extends tf.Tensor>(x: T, other: tf.Tensor): T =>
  tf.customGrad((...args) => {
    const [x, other] = args as unknown as [tf.Tensor, tf.Tensor];
    const { shape } = other;
    return {
      value: tf.add(x, zeroOf(other)),
      gradFunc: (dy: tf.Tensor) => [dy, tf.zeros(shape)],
    };
  })(x, other) as T;

/** 0, whatever the first number is: no magnitude is below -1. */
const zeroOf = (x: tf.Tensor): tf.Tensor =>
  tf.cast(tf.less(tf.abs(tf.slice(tf.reshape(x, [x.size]), [0], [1])), -1), 'float32');
