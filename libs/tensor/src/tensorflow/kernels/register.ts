import type * as tf from '@tensorflow/tfjs';
import { mapKernelOf, type Recorded, recorded, recordedType } from '../../capture/recording.js';
import { CAPTURE, current, graphValue } from '../backend.js';
import { type Attributes, type GraphValue, typeOf } from '../graph.js';
import type { NodeType } from '../schema.js';

/** Registers how a tfjs kernel is recorded. */
export const mapKernel = mapKernelOf(CAPTURE);

type Operand = tf.TensorInfo | GraphValue;

const operandValue = (operand: Operand): GraphValue => ('dataId' in operand ? graphValue(operand) : operand);

/** Appends a node and returns its result as a tensor of `dtype`. */
export const emit = (
  op: string,
  inputs: readonly Operand[],
  shape: readonly number[],
  dtype: tf.DataType,
  attributes: Attributes = {},
): Recorded<GraphValue> => recorded(emitValue(op, inputs, shape, recordedType(dtype), attributes), dtype);

/** Appends a node whose result may have a type that tfjs does not know (bfloat16), for use by another node. */
export const emitValue = (
  op: string,
  inputs: readonly Operand[],
  shape: readonly number[],
  type: NodeType,
  attributes: Attributes = {},
): GraphValue => current().graph.node(op, inputs.map(operandValue), type, shape, attributes);

/** The attribute `T` of an operator whose operands are of the type of `x`. */
export const typed = (x: Operand, more: Attributes = {}): Attributes => ({
  T: typeOf(operandValue(x).type),
  ...more,
});

/** A constant scalar of a tensor's type. */
export function constantLike(dtype: tf.DataType, value: number): GraphValue {
  const { graph } = current();
  if (dtype === 'bool') return graph.constant('bool', [], Uint8Array.of(value));
  if (dtype === 'int32') return graph.int(value);
  return graph.scalar(value);
}
