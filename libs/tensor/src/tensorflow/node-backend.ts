import type * as tf from '@tensorflow/tfjs';
import { TensorError } from '../errors.js';

/**
 * What is used of tfjs-node's backend. No public API: its `loadSavedModel`, which is, calls these methods, but fetches all
 * results of a signature at each run.
 */
export interface NodeBackend {
  readonly isUsingGpuDevice: boolean;
  loadSavedModelMetaGraph(folder: string, tags: string): number;
  deleteSavedModel(id: number): void;
  runSavedModel(
    id: number,
    inputs: readonly tf.Tensor[],
    infos: readonly { readonly name: string; readonly tfDtype: string }[],
    fetches: readonly string[],
  ): tf.Tensor[];
}

const METHODS = ['loadSavedModelMetaGraph', 'deleteSavedModel', 'runSavedModel'] as const;

/**
 * @param version of tfjs-node
 * @throws TensorError TENSOR_ENGINE_UNAVAILABLE when the backend lacks a method
 */
export function asNodeBackend(backend: object, version: string): NodeBackend {
  const missing = METHODS.filter((name) => typeof (backend as Partial<NodeBackend>)[name] !== 'function');
  if (missing.length === 0) return backend as NodeBackend;
  throw new TensorError(
    'TENSOR_ENGINE_UNAVAILABLE',
    `expected tfjs-node with ${METHODS.join(', ')}, got version ${version} without ${missing.join(', ')}. Install the one that is meant by npm run install:tensorflow.`,
  );
}
