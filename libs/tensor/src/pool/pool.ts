import type { Engine } from '../engine.js';
import { MOST_BYTES } from './memory.js';
import { type PoolOptions, poolWithin } from './within.js';

/**
 * Captures programs to ONNX and runs them in one-thread sessions on worker threads: calls under way together are
 * computed side by side, and their effects made in the order of the calls. The state lies in memory that the threads
 * share. A worker has a private copy of what its programs read, brought up to date when it has changed; frozen tensors
 * that lie in a file it maps, as `onnxEngine` does. Programs of
 * kernels that the host has loops for (AdamW, the sum of squares) are done where the state lies, by all workers.
 *
 * Results do not depend on the number of workers.
 */
export const onnxPool = (options: PoolOptions): Engine => poolWithin(MOST_BYTES, options);
