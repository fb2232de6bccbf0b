import type { Engine, Frozen, Specs } from '../engine.js';
import { createFrozenStore } from '../engines/frozen.js';
import { TensorError } from '../errors.js';
import { openWorkspace } from '../workspace/workspace.js';
import { createMachine } from './machine.js';
import type { ThreadOptions } from './thread.js';
import { createWorkers } from './workers.js';

export type PoolOptions = { readonly workers: number } & ThreadOptions;

/**
 * A pool over memories of a given size.
 * @param most bytes of one WebAssembly memory
 */
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
  const maps = (data.device ?? 'cpu') === 'cpu';
  let workspaces = 0;
  const open = (state: Specs, { frozen }: { readonly frozen?: Frozen } = {}) => {
    workers.checkOpen();
    return openWorkspace(createMachine({ state, frozen, store, maps, workers, id: workspaces++, most }));
  };
  return {
    name: 'onnx-pool',
    fidelity: 'bits',
    place: 'host',
    open: async (state, options) => open(state, options),
    close: () => workers.close(),
  };
}
