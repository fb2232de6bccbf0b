/**
 * The two operators whose automatic gradients would cost the most passes over the widest activations, with their
 * closed-form ones. Engines may have both as kernels.
 */
import { kernel } from '@rlhf-streams/tensor';
import * as tf from '@tensorflow/tfjs';

type Save = tf.GradSaveFunc;

/** sqrt(2/pi) and 0.044715 sqrt(2/pi), doubled: (1 + tanh u) / 2 = sigmoid(2u). */
const LINEAR = 2 * Math.sqrt(2 / Math.PI);
const CUBIC = 0.044715 * LINEAR;

/** s(x) = sigmoid(x (LINEAR + CUBIC x^2)), of x and x^2 */
const sigmoidOf = (x: tf.Tensor, squared: tf.Tensor) =>
  tf.sigmoid(tf.mul(x, tf.add(tf.mul(squared, CUBIC), LINEAR)));

const fastGelu = kernel('FastGelu', ({ x }: { readonly x: tf.Tensor }) => ({
  y: tf.mul(x, sigmoidOf(x, tf.square(x))),
}));

/**
 * gelu_new(x) = x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))) = x s(x), s(x) = sigmoid(x (LINEAR + CUBIC x^2));
 * gelu_new'(x) = s + x s (1 - s) (LINEAR + 3 CUBIC x^2). Hendrycks and Gimpel 2016.
 */
export const gelu: (x: tf.Tensor) => tf.Tensor = tf.customGrad((...args) => {
  const [x, save] = args as unknown as [tf.Tensor, Save];
  const { y } = fastGelu({ x }, {});
  save([x, y]);
  const gradFunc = (dy: tf.Tensor, saved: tf.Tensor[]) => {
    const [x, y] = saved as [tf.Tensor, tf.Tensor];
    const squared = tf.square(x);
    const s = sigmoidOf(x, squared);
    const slope = tf.mul(tf.sub(y, tf.mul(y, s)), tf.add(tf.mul(squared, 3 * CUBIC), LINEAR));
    return tf.mul(dy, tf.add(s, slope));
  };
  return { value: y, gradFunc };
});

const layerNormalization = kernel(
  'LayerNormalization',
  (
    { x, weight, bias }: { readonly x: tf.Tensor; readonly weight: tf.Tensor; readonly bias: tf.Tensor },
    { epsilon }: { readonly epsilon: number },
  ) => {
    const mean = tf.mean(x, -1, true);
    const centred = tf.sub(x, mean);
    const inverseDeviation = tf.rsqrt(tf.add(tf.mean(tf.square(centred), -1, true), epsilon));
    return { y: tf.add(tf.mul(tf.mul(centred, inverseDeviation), weight), bias), mean, inverseDeviation };
  },
);

/**
 * (x - mean) / sqrt(variance + epsilon) * weight + bias over the last axis (Ba et al. 2016).
 * With z the normalised x and g = dy * weight: dx = (g - mean(g) - z mean(g z)) / sqrt(variance + epsilon).
 * @param x [N, D]
 */
export function layerNorm(x: tf.Tensor, weight: tf.Tensor, bias: tf.Tensor, epsilon: number): tf.Tensor {
  const normalise = tf.customGrad((...args) => {
    const [x, weight, bias, save] = args as unknown as [tf.Tensor, tf.Tensor, tf.Tensor, Save];
    const { y, mean, inverseDeviation } = layerNormalization({ x, weight, bias }, { epsilon });
    save([x, mean, inverseDeviation, weight]);
    const gradFunc = (dy: tf.Tensor, saved: tf.Tensor[]) => {
      const [x, mean, inverseDeviation, weight] = saved as [tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor];
      const z = tf.mul(tf.sub(x, mean), inverseDeviation);
      const g = tf.mul(dy, weight);
      const along = tf.add(tf.mul(z, tf.mean(tf.mul(g, z), -1, true)), tf.mean(g, -1, true));
      return [tf.mul(tf.sub(g, along), inverseDeviation), tf.sum(tf.mul(dy, z), 0), tf.sum(dy, 0)];
    };
    return { value: y, gradFunc };
  });
  return normalise(x, weight, bias);
}
