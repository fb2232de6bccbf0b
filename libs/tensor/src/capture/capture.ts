import * as tf from '@tensorflow/tfjs';
import type { DType, Program, Specs, TensorSpec } from '../engine.js';
import { TensorError } from '../errors.js';
import { graphValue, onnxType, recorded, recording } from './backend.js';
import './kernels/elementwise.js';
import './kernels/gather.js';
import './kernels/matmul.js';
import './kernels/reduce.js';
import './kernels/shape.js';

export interface Captured {
  /** The bytes of an .onnx model. */
  readonly model: Uint8Array;
  readonly inputs: Specs;
  readonly outputs: Specs;
  readonly nodeCount: number;
}

/**
 * Records a program as an ONNX model for inputs of the given shapes.
 * @throws TensorError TENSOR_UNSUPPORTED_OP naming the op that has no mapping; TENSOR_VALUE_DURING_CAPTURE when
 *   the program reads a value; TENSOR_UNSUPPORTED_DTYPE when an output is neither float32 nor int32.
 */
export function capture(program: Program, inputs: Specs): Captured {
  return recording((graph) =>
    scoped(() => {
      const tensors: Record<string, tf.Tensor> = {};
      for (const [name, { dtype, shape }] of Object.entries(inputs)) {
        const value = graph.input(name, onnxType(dtype), shape);
        tensors[name] = tf.engine().makeTensorFromTensorInfo(recorded(value, dtype));
      }
      const results = namingMissingOps(() => program(tensors));
      const outputs: Record<string, TensorSpec> = {};
      for (const [name, tensor] of Object.entries(results)) {
        if (inputs[name]) {
          throw new TensorError(
            'TENSOR_BAD_OUTPUT',
            `output ${name} has the name of an input: give it another`,
          );
        }
        graph.output(name, graphValue(tensor));
        outputs[name] = { shape: [...tensor.shape], dtype: edgeType(name, tensor.dtype) };
      }
      return { model: graph.encode(), inputs, outputs, nodeCount: graph.nodeCount };
    }),
  );
}

/** Runs `work` and disposes of every tensor that it made. */
function scoped<T>(work: () => T): T {
  let result: T;
  tf.tidy(() => {
    result = work();
  });
  return result!;
}

function edgeType(name: string, dtype: string): DType {
  if (dtype === 'float32' || dtype === 'int32') return dtype;
  throw new TensorError(
    'TENSOR_UNSUPPORTED_DTYPE',
    `expected output ${name} to be float32 or int32, got ${dtype}: cast it in the program`,
  );
}

function namingMissingOps<T>(work: () => T): T {
  try {
    return work();
  } catch (cause) {
    const missing = /Kernel '(\w+)' not registered/.exec(cause instanceof Error ? cause.message : '');
    if (!missing) throw cause;
    throw new TensorError(
      'TENSOR_UNSUPPORTED_OP',
      `the op ${missing[1]} has no ONNX mapping: add one in libs/tensor/src/capture/kernels`,
      { cause },
    );
  }
}
