/**
 * The operators whose automatic gradients would cost the most passes over the widest activations, with their
 * closed-form ones.
 */
import { kernel } from '@rlhf-streams/tensor';
import * as tf from '@tensorflow/tfjs';

type Save = tf.GradSaveFunc;

/** A kernel because it rounds a row the same wherever it lies, which the mean of a row does not. */
const rootMeanSquareNorm = kernel(
  'SimplifiedLayerNormalization',
  (
    { x, weight }: { readonly x: tf.Tensor; readonly weight: tf.Tensor },
    { epsilon }: { readonly epsilon: number },
  ) => {
    const inverseRoot = tf.rsqrt(tf.add(tf.mean(tf.square(x), -1, true), epsilon));
    return { y: tf.mul(tf.mul(x, inverseRoot), weight), inverseRoot };
  },
);

/**
 * x / sqrt(mean(x^2) + epsilon) * weight over the last axis (RMSNorm, Zhang and Sennrich 2019).
 * With z the normalised x and g = dy * weight: dx = (g - z mean(g z)) / sqrt(mean(x^2) + epsilon).
 * @param x [N, D]
 */
export function rmsNorm(x: tf.Tensor, weight: tf.Tensor, epsilon: number): tf.Tensor {
  const normalise = tf.customGrad((...args) => {
    const [x, weight, save] = args as unknown as [tf.Tensor, tf.Tensor, Save];
    const { y, inverseRoot } = rootMeanSquareNorm({ x, weight }, { epsilon });
    save([x, inverseRoot, weight]);
    const gradFunc = (dy: tf.Tensor, saved: tf.Tensor[]) => {
      const [x, inverseRoot, weight] = saved as [tf.Tensor, tf.Tensor, tf.Tensor];
      const z = tf.mul(x, inverseRoot);
      const g = tf.mul(dy, weight);
      const along = tf.mul(z, tf.mean(tf.mul(g, z), -1, true));
      return [tf.mul(tf.sub(g, along), inverseRoot), tf.sum(tf.mul(dy, z), 0)];
    };
    return { value: y, gradFunc };
  });
  return normalise(x, weight);
}

/**
 * silu(gate) * up, silu(x) = x s(x), s = sigmoid (SwiGLU, Shazeer 2020);
 * silu'(x) = s + x s (1 - s). Only `gate` and `up` are kept for the gradient.
 */
export const gated: (gate: tf.Tensor, up: tf.Tensor) => tf.Tensor = tf.customGrad((...args) => {
  const [gate, up, save] = args as unknown as [tf.Tensor, tf.Tensor, Save];
  save([gate, up]);
  const gradFunc = (dy: tf.Tensor, saved: tf.Tensor[]) => {
    const [gate, up] = saved as [tf.Tensor, tf.Tensor];
    const s = tf.sigmoid(gate);
    const activated = tf.mul(gate, s);
    const slope = tf.add(s, tf.sub(activated, tf.mul(activated, s)));
    return [tf.mul(tf.mul(dy, up), slope), tf.mul(dy, activated)];
  };
  return { value: tf.mul(tf.mul(gate, tf.sigmoid(gate)), up), gradFunc };
});
