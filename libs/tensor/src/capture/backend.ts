import * as tf from '@tensorflow/tfjs';
import { TensorError } from '../errors.js';
import { createGraph, type Graph, type GraphValue } from '../onnx/graph.js';
import type { OnnxType } from '../onnx/schema.js';

export const CAPTURE = 'onnx-capture';

/** tfjs's view of a recorded value: a tensor whose data is a value of the graph. */
export interface Recorded extends tf.TensorInfo {
  readonly dataId: { readonly value: GraphValue };
}

const onnxTypes: Readonly<Record<string, OnnxType>> = { float32: 'float32', int32: 'int32', bool: 'bool' };

export function onnxType(dtype: string): OnnxType {
  const type = onnxTypes[dtype];
  if (!type)
    throw new TensorError('TENSOR_UNSUPPORTED_DTYPE', `expected float32, int32 or bool, got ${dtype}`);
  return type;
}

/** The graph value behind a tensor of the program being captured. */
export function graphValue(tensor: tf.TensorInfo): GraphValue {
  const value = (tensor as Recorded).dataId.value;
  if (value) return value;
  throw new TensorError(
    'TENSOR_VALUE_DURING_CAPTURE',
    'a tensor made outside the program was used in it: pass it as an input, or make it inside the program',
  );
}

export function recorded(value: GraphValue, dtype: tf.DataType): Recorded {
  return { dataId: { value }, shape: [...value.shape], dtype };
}

/**
 * A tfjs backend that computes nothing: its kernels append nodes to the graph of the capture under way.
 * tfjs itself runs the program, so that autodiff, broadcasting rules and composite ops are tfjs's own.
 */
class CaptureBackend extends tf.KernelBackend {
  graph: Graph = createGraph();
  hostKernels = false;

  override write(values: tf.backend_util.BackendValues, shape: number[], dtype: tf.DataType) {
    const type = onnxType(dtype);
    const numbers = values as unknown as ArrayLike<number>;
    const data =
      type === 'bool'
        ? Uint8Array.from(numbers)
        : type === 'int32'
          ? Int32Array.from(numbers)
          : Float32Array.from(numbers);
    return { value: this.graph.constant(type, shape, data) };
  }

  override read(): never {
    return this.readSync();
  }

  override readSync(): never {
    throw new TensorError(
      'TENSOR_VALUE_DURING_CAPTURE',
      'a program must not read values (data, array, print) or branch on them: it is recorded, not computed',
    );
  }

  override disposeData() {
    return true;
  }
  override incRef() {}
  decRef() {}
  override refCount() {
    return 1;
  }
  override numDataIds() {
    return 0;
  }
  override memory() {
    return { unreliable: true };
  }
  override floatPrecision(): 32 {
    return 32;
  }
  override epsilon() {
    return 1e-7;
  }
  override timerAvailable() {
    return false;
  }
}

const backend = new CaptureBackend();
// With priority 0 tfjs never chooses this backend by itself.
tf.registerBackend(CAPTURE, () => backend, 0);

/** The graph that the program being captured is recorded to. */
export const currentGraph = (): Graph => backend.graph;

/** Whether the capture under way records the kernels that the host has loops for by their name. */
export const recordsHostKernels = (): boolean => backend.hostKernels;

/** Runs `work` with a new graph to record to. */
export function recording<T>(
  { hostKernels }: { readonly hostKernels: boolean },
  work: (graph: Graph) => T,
): T {
  const graph = createGraph();
  backend.graph = graph;
  backend.hostKernels = hostKernels;
  try {
    return onBackend(CAPTURE, () => work(graph));
  } finally {
    backend.graph = createGraph();
    backend.hostKernels = false;
  }
}

/** Runs synchronous `work` on a registered tfjs backend and returns to the one in use before. */
export function onBackend<T>(name: string, work: () => T): T {
  tf.backend(); // before its first use tfjs has no backend to return to
  const before = tf.getBackend();
  if (before === name) return work();
  activate(name);
  try {
    return work();
  } finally {
    activate(before);
  }
}

function activate(name: string): void {
  // Both backends initialise synchronously: the promise is settled and tfjs has switched when this returns.
  void tf.setBackend(name);
  if (tf.getBackend() !== name) throw new Error(`tfjs did not switch to backend ${name}`);
}
