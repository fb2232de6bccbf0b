/** Linear maps of a trunk, with the adapter that a model may have on them. */
import * as tf from '@tensorflow/tfjs';
import type { LinearMap, Parameters } from '../architecture.js';
import { adapterScale, type ModelConfig } from '../model-config.js';

/** Names of the matrices A [rank, from] and B [to, rank] that an adapter has on a linear map. */
export const adapterNames = (name: string) => ({ a: `${name}.lora_A.weight`, b: `${name}.lora_B.weight` });

/**
 * x W + b, and where the model has an adapter on the map, + scale (x A^T) B^T (LoRA, Hu et al. 2021, section 4.1).
 * @param x [N, from]
 * @returns [N, to]
 */
export function linear(
  { adapter }: Pick<ModelConfig, 'adapter'>,
  p: Parameters,
  x: tf.Tensor,
  name: string,
  { fanInFanOut }: Pick<LinearMap, 'fanInFanOut'>,
): tf.Tensor {
  const product = tf.matMul(x as tf.Tensor2D, p[`${name}.weight`] as tf.Tensor2D, false, !fanInFanOut);
  const bias = p[`${name}.bias`];
  const mapped = bias ? tf.add(product, bias) : product;
  const names = adapterNames(name);
  const [a, b] = [p[names.a], p[names.b]] as (tf.Tensor2D | undefined)[];
  if (!adapter || !a || !b) return mapped;
  const low = tf.mul(tf.matMul(x as tf.Tensor2D, a, false, true), adapterScale(adapter));
  return tf.add(mapped, tf.matMul(low as tf.Tensor2D, b, false, true));
}
