import type * as tf from '@tensorflow/tfjs';
import { kernel } from './kernel.js';

/** A tensor of parameters, its gradient and its moments, all of one shape. */
export type AdamWTensors = {
  readonly p: tf.Tensor;
  readonly g: tf.Tensor;
  readonly m: tf.Tensor;
  readonly v: tf.Tensor;
};

/** What changes from step to step are scalars, the rest is fixed in the program. */
export interface AdamWOptions {
  readonly lr: tf.Scalar;
  readonly beta1: number;
  readonly beta2: number;
  readonly eps: number;
  readonly weightDecay: number;
  /** 1 - beta1^t and 1 - beta2^t at step t = 1, 2, ... */
  readonly biasCorrection1: tf.Scalar;
  readonly biasCorrection2: tf.Scalar;
  /** What the gradient is multiplied by. */
  readonly gradScale: tf.Scalar;
}

export type AdamW = (
  tensors: AdamWTensors,
  options: AdamWOptions,
) => { readonly p: tf.Tensor; readonly m: tf.Tensor; readonly v: tf.Tensor };

/** The name under which engines may have AdamW, rounded at each operation as `adamw` of @rlhf-streams/alignment is. */
export const ADAMW = 'AdamW';

/**
 * AdamW (Loshchilov and Hutter 2019, algorithm 2) on one tensor as a kernel of our own name. `compose` is what it is in
 * tfjs ops: `adamw` of `@rlhf-streams/alignment`.
 *
 * A program that does nothing but this and {@link sumOfSquares} to tensors of the state, and sets tensors to 0, with
 * scalars that are inputs or constants of the program, is run in place where they lie by the ONNX engines.
 *
 * @example
 * const adamW = adamWKernel(adamw);
 * const step: Program = {
 *   inputs: { lr: float32(), biasCorrection1: float32(), biasCorrection2: float32(), gradScale: float32() },
 *   reads: ['p', 'g', 'm', 'v'],
 *   inPlace: ['p', 'm', 'v'],
 *   run: ({ p, g, m, v }, scalars) => ({
 *     next: { ...adamW({ p, g, m, v }, { ...scalars, beta1, beta2, eps, weightDecay }), g: tf.zerosLike(g) },
 *   }),
 * };
 */
export function adamWKernel(compose: AdamW): AdamW {
  const named = kernel(
    ADAMW,
    (
      {
        lr,
        biasCorrection1,
        biasCorrection2,
        gradScale,
        ...tensors
      }: AdamWTensors & { [Name in Scalars]: tf.Tensor },
      attributes: { [Name in Numbers]: number },
    ) =>
      compose(tensors, {
        ...attributes,
        lr: lr as tf.Scalar,
        biasCorrection1: biasCorrection1 as tf.Scalar,
        biasCorrection2: biasCorrection2 as tf.Scalar,
        gradScale: gradScale as tf.Scalar,
      }),
  );
  return ({ p, g, m, v }, { beta1, beta2, eps, weightDecay, ...scalars }) => {
    const { lr, biasCorrection1, biasCorrection2, gradScale } = scalars;
    return named(
      { p, g, m, v, lr, biasCorrection1, biasCorrection2, gradScale },
      { beta1, beta2, eps, weightDecay },
    );
  };
}

type Scalars = 'lr' | 'biasCorrection1' | 'biasCorrection2' | 'gradScale';
type Numbers = 'beta1' | 'beta2' | 'eps' | 'weightDecay';
