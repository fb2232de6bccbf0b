import type { Engine, Frozen, Specs } from '../engine.js';
import { createFrozenStore } from '../engines/frozen.js';
import { TensorError } from '../errors.js';
import { openWorkspace } from '../workspace/workspace.js';
import { createMachine } from './machine.js';
import { createWorkers } from './workers.js';

export interface PoolOptions {
  readonly workers: number;
}

/**
 * A pool over memories of a given size.
 * @param most bytes of one WebAssembly memory
 */
export function poolWithin(most: number, { workers: count }: PoolOptions): Engine {
  if (!Number.isInteger(count) || count < 1) {
    throw new TensorError(
      'TENSOR_BAD_INPUT',
      `expected workers to be a whole number of at least 1, got ${count}`,
    );
  }
  const workers = createWorkers(count);
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
    place: 'host',
    open: async (state, options) => open(state, options),
    close: () => workers.close(),
  };
}
