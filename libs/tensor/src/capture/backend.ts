import * as tf from '@tensorflow/tfjs';
import { createGraph, type Graph, type GraphValue } from '../onnx/graph.js';
import { onBackend, type RecordedType, RecordingBackend, recordedValue } from './recording.js';

export const CAPTURE = 'onnx-capture';

/** The graph value behind a tensor of the program being captured. */
export const graphValue = (tensor: tf.TensorInfo): GraphValue => recordedValue<GraphValue>(tensor);

/** Kernels of this backend append nodes of ONNX. */
class CaptureBackend extends RecordingBackend<GraphValue> {
  graph: Graph = createGraph();
  hostKernels = false;

  protected override constant(type: RecordedType, shape: readonly number[], data: ArrayBufferView) {
    return this.graph.constant(type, shape, data);
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
