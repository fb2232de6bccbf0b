import { compileOver } from '../compile.js';
import type { Engine, Frozen, Specs } from '../engine.js';
import { createFrozenStore } from '../engines/frozen.js';
import { TensorError } from '../errors.js';
import { openWorkspace } from '../workspace/workspace.js';
import { createMachine } from './machine.js';
import { MOST_BYTES } from './memory.js';
import type { ThreadOptions } from './thread.js';
import { createWorkers } from './workers.js';

export type PoolOptions = { readonly workers: number } & ThreadOptions;

/**
 * Captures programs to ONNX and runs them in one-thread sessions on worker threads: calls under way together are
 * computed side by side, and their effects made in the order of the calls. The state lies in memory that the threads
 * share. A worker has a private copy of what its programs read, brought up to date when it has changed. Programs of
 * kernels that the host has loops for (AdamW, the sum of squares) are done where the state lies, by all workers.
 *
 * Results do not depend on the number of workers.
 */
export const onnxPool = (options: PoolOptions): Engine => poolWithin(MOST_BYTES, options);

/** @param most bytes of one WebAssembly memory */
export function poolWithin(most: number, { workers: count, ...data }: PoolOptions): Engine {
  if (!Number.isInteger(count) || count < 1) {
    throw new TensorError(
      'TENSOR_BAD_INPUT',
      `expected workers to be a whole number of at least 1, got ${count}`,
    );
  }
  const workers = createWorkers(count, data);
  const store = createFrozenStore((buffer) => {
    const shared = new SharedArrayBuffer(buffer.byteLength);
    const kept = buffer instanceof Int32Array ? new Int32Array(shared) : new Float32Array(shared);
    kept.set(buffer);
    return kept;
  });
  let workspaces = 0;
  const open = (state: Specs, { frozen }: { readonly frozen?: Frozen } = {}) => {
    workers.checkOpen();
    return openWorkspace(createMachine({ state, frozen, store, workers, id: workspaces++, most }));
  };
  return {
    name: 'onnx-pool',
    fidelity: 'bits',
    compile: compileOver(open),
    open: async (state, options) => open(state, options),
    close: () => workers.close(),
  };
}
