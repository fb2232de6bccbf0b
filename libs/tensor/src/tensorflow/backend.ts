import * as tf from '@tensorflow/tfjs';
import { onBackend, type RecordedType, RecordingBackend, recordedValue } from '../capture/recording.js';
import type { Engine } from '../engine.js';
import { createGraph, type Graph, type GraphValue } from './graph.js';

export const CAPTURE = 'tensorflow-capture';

/** What operands and results of matrix products are rounded to; the sums within a product are float32 either way. */
export type Precision = 'float32' | 'bf16';

export interface Recording {
  readonly graph: Graph;
  readonly precision: Precision;
  /** Whether XLA compiles the program. */
  readonly xla: boolean;
  /** The rounded copy of a value, where it is a tensor of the state that one is kept of. */
  readonly rounded: (value: GraphValue) => GraphValue | undefined;
}

const idle: Recording = { graph: createGraph(), precision: 'float32', xla: false, rounded: () => undefined };

/** Kernels of this backend append nodes of TensorFlow. */
class CaptureBackend extends RecordingBackend<GraphValue> {
  recording = idle;

  protected override constant(type: RecordedType, shape: readonly number[], data: ArrayBufferView) {
    return this.recording.graph.constant(type, shape, data);
  }
}

const backend = new CaptureBackend();
// With priority 0 tfjs never chooses this backend by itself.
tf.registerBackend(CAPTURE, () => backend, 0);

/** Where the program being captured will be computed: what is cut for a processor's memory need not be on a device. */
export const capturedFor = (): Engine['place'] => (tf.getBackend() === CAPTURE ? 'device' : 'host');

/** What the program being captured is recorded to. */
export const current = (): Recording => backend.recording;

/** The graph value behind a tensor of the program being captured. */
export const graphValue = (tensor: tf.TensorInfo): GraphValue => recordedValue<GraphValue>(tensor);

/** Runs `work` with a graph to record to. */
export function recordingTo<T>(recording: Recording, work: () => T): T {
  backend.recording = recording;
  try {
    return onBackend(CAPTURE, work);
  } finally {
    backend.recording = idle;
  }
}
