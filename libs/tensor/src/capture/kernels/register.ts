import * as tf from '@tensorflow/tfjs';
import type { GraphValue, NodeOptions } from '../../onnx/graph.js';
import type { OnnxType } from '../../onnx/schema.js';
import { CAPTURE, currentGraph, graphValue, onnxType, type Recorded, recorded } from '../backend.js';

/** What a mapping gets from tfjs: named input tensors and the kernel's attributes. */
export interface KernelCall {
  readonly inputs: Readonly<Record<string, tf.TensorInfo>>;
  // biome-ignore lint/suspicious/noExplicitAny: tfjs types attributes per kernel, and not all of them
  readonly attrs: Readonly<Record<string, any>>;
}

export type Mapping = (call: KernelCall) => Recorded | Recorded[];

/** Registers how a tfjs kernel is recorded. */
export function mapKernel(kernelName: string, mapping: Mapping): void {
  tf.registerKernel({
    kernelName,
    backendName: CAPTURE,
    kernelFunc: ({ inputs, attrs }) =>
      mapping({ inputs: inputs as KernelCall['inputs'], attrs: attrs ?? {} }),
  });
}

/** Appends a node and returns its result as a tensor of `dtype`. */
export function emit(
  op: string,
  inputs: readonly (tf.TensorInfo | GraphValue)[],
  shape: readonly number[],
  dtype: tf.DataType,
  options?: NodeOptions,
): Recorded {
  return recorded(emitValue(op, inputs, shape, onnxType(dtype), options), dtype);
}

/** Appends a node whose result has a type that tfjs does not know (int64), for use by another node. */
export function emitValue(
  op: string,
  inputs: readonly (tf.TensorInfo | GraphValue)[],
  shape: readonly number[],
  type: OnnxType,
  options?: NodeOptions,
): GraphValue {
  const values = inputs.map((input) => ('dataId' in input ? graphValue(input) : input));
  return currentGraph().node(op, values, type, shape, options);
}

/** A value of the graph as a tensor of the program. */
export const asTensor = (value: GraphValue, dtype: tf.DataType): tf.Tensor =>
  tf.engine().makeTensorFromTensorInfo(recorded(value, dtype));

export const broadcast = (a: tf.TensorInfo, b: tf.TensorInfo): number[] =>
  tf.backend_util.assertAndGetBroadcastShape(a.shape, b.shape);

/** A negative axis counts from the end. */
export const axisOf = (axis: number, rank: number): number => (axis < 0 ? axis + rank : axis);
