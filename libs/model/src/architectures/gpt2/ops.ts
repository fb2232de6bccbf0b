/**
 * The two operators whose automatic gradients would cost the most passes over the widest activations, with their
 * closed-form ones.
 */
import * as tf from '@tensorflow/tfjs';

type Save = tf.GradSaveFunc;

/** sqrt(2/pi) and 0.044715 sqrt(2/pi), doubled: (1 + tanh u) / 2 = sigmoid(2u). */
const LINEAR = 2 * Math.sqrt(2 / Math.PI);
const CUBIC = 0.044715 * LINEAR;

/**
 * gelu_new(x) = x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))) = x s(x), s(x) = sigmoid(x (LINEAR + CUBIC x^2));
 * gelu_new'(x) = s + x s (1 - s) (LINEAR + 3 CUBIC x^2). Hendrycks and Gimpel 2016.
 */
export const gelu: (x: tf.Tensor) => tf.Tensor = tf.customGrad((...args) => {
  const [x, save] = args as unknown as [tf.Tensor, Save];
  const squared = tf.square(x);
  const s = tf.sigmoid(tf.mul(x, tf.add(tf.mul(squared, CUBIC), LINEAR)));
  const value = tf.mul(x, s);
  save([value, s, squared]);
  const gradFunc = (dy: tf.Tensor, saved: tf.Tensor[]) => {
    const [value, s, squared] = saved as [tf.Tensor, tf.Tensor, tf.Tensor];
    const slope = tf.mul(tf.sub(value, tf.mul(value, s)), tf.add(tf.mul(squared, 3 * CUBIC), LINEAR));
    return tf.mul(dy, tf.add(s, slope));
  };
  return { value, gradFunc };
});

/**
 * (x - mean) / sqrt(variance + epsilon) * weight + bias over the last axis (Ba et al. 2016).
 * With z the normalised x and g = dy * weight: dx = (g - mean(g) - z mean(g z)) / sqrt(variance + epsilon).
 * @param x [N, D]
 */
export function layerNorm(x: tf.Tensor, weight: tf.Tensor, bias: tf.Tensor, epsilon: number): tf.Tensor {
  const normalise = tf.customGrad((...args) => {
    const [x, weight, bias, save] = args as unknown as [tf.Tensor, tf.Tensor, tf.Tensor, Save];
    const centred = tf.sub(x, tf.mean(x, -1, true));
    const scale = tf.rsqrt(tf.add(tf.mean(tf.square(centred), -1, true), epsilon));
    const z = tf.mul(centred, scale);
    save([z, scale, weight]);
    const gradFunc = (dy: tf.Tensor, saved: tf.Tensor[]) => {
      const [z, scale, weight] = saved as [tf.Tensor, tf.Tensor, tf.Tensor];
      const g = tf.mul(dy, weight);
      const along = tf.add(tf.mul(z, tf.mean(tf.mul(g, z), -1, true)), tf.mean(g, -1, true));
      return [tf.mul(tf.sub(g, along), scale), tf.sum(tf.mul(dy, z), 0), tf.sum(dy, 0)];
    };
    return { value: tf.add(tf.mul(z, weight), bias), gradFunc };
  });
  return normalise(x, weight, bias);
}
