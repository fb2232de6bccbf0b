import type * as tf from '@tensorflow/tfjs';
import type { GraphValue, NodeOptions } from '../../onnx/graph.js';
import type { OnnxType } from '../../onnx/schema.js';
import { CAPTURE, currentGraph, graphValue } from '../backend.js';
import { mapKernelOf, type Recorded, recorded, recordedType } from '../recording.js';

/** Registers how a tfjs kernel is recorded. */
export const mapKernel = mapKernelOf(CAPTURE);

/** Appends a node and returns its result as a tensor of `dtype`. */
export function emit(
  op: string,
  inputs: readonly (tf.TensorInfo | GraphValue)[],
  shape: readonly number[],
  dtype: tf.DataType,
  options?: NodeOptions,
): Recorded<GraphValue> {
  return recorded(emitValue(op, inputs, shape, recordedType(dtype), options), dtype);
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
