import * as tf from '@tensorflow/tfjs';
import type { Tensors } from '../engine.js';

/** Numbers that are fixed when a program is captured. */
export type Attributes = Readonly<Record<string, number>>;

/** A function of tensors that an engine may have an implementation of its own for. */
export type Kernel<I extends Tensors, A extends Attributes, O extends Tensors> = (
  inputs: I,
  attributes: A,
) => O;

/** Records a kernel in the capture under way; nothing where this capture has no implementation of it. */
export type Recorder = (inputs: Tensors, attributes: Attributes) => Tensors | undefined;

const recorders = new Map<string, Recorder>();
const keyOf = (capture: string, name: string) => `${capture} ${name}`;

/** Registers how a kernel is recorded by its name, by the capture that is this backend of tfjs. */
export function recordKernel(capture: string, name: string, recorder: Recorder): void {
  recorders.set(keyOf(capture, name), recorder);
}

/**
 * A function with a name. An engine that has an implementation under that name takes it; any other computes `compose`,
 * which says in plain tfjs ops what the kernel is. The cpu engine, the oracle, always composes.
 *
 * A kernel has no gradient of its own: where one is needed, it is called within `tf.customGrad`.
 *
 * @example
 * const fastGelu = kernel('FastGelu', ({ x }: { x: tf.Tensor }) => ({ y: tf.mul(x, tf.sigmoid(tf.mul(x, 1.702))) }));
 */
export function kernel<I extends Tensors, O extends Tensors, A extends Attributes = Record<string, never>>(
  name: string,
  compose: Kernel<I, A, O>,
): Kernel<I, A, O> {
  return (inputs, attributes) => {
    const recorded = recorders.get(keyOf(tf.getBackend(), name))?.(inputs, attributes);
    return (recorded as O | undefined) ?? compose(inputs, attributes);
  };
}
