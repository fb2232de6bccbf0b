import { spawn, type Thread } from '@rlhf-streams/threads';
import { capture } from '../capture/capture.js';
import { type Buffers, checkInputs, checkOutputs, type Engine } from '../engine.js';
import { TensorError } from '../errors.js';
import { openWorkspace } from '../workspace.js';
import type { PoolApi, ThreadOptions } from './thread.js';

interface PoolWorker {
  readonly thread: Thread<PoolApi>;
  /** Programs that the thread has opened, or is opening. */
  readonly opened: Map<number, Promise<void>>;
}

/**
 * Captures programs to ONNX and runs them in one-thread sessions on worker threads, so that runs awaited together are
 * computed side by side. A program's result does not depend on the worker it ran on. Buffers in shared memory
 * (`allocate(spec, { shared: true })`) reach the workers without a copy through the message channel;
 * outputs meant for private buffers are copied back.
 */
export function onnxPool({ workers: count, ...data }: { readonly workers: number } & ThreadOptions): Engine {
  if (!Number.isInteger(count) || count < 1) {
    throw new TensorError(
      'TENSOR_BAD_INPUT',
      `expected workers to be a whole number of at least 1, got ${count}`,
    );
  }
  const idle: PoolWorker[] = [];
  const workers = Array.from({ length: count }, (_, i) => {
    const thread = spawn<PoolApi>(new URL('./thread.js', import.meta.url), { name: `onnx-${i}`, data });
    const worker: PoolWorker = { thread, opened: new Map() };
    idle.push(worker);
    return worker;
  });
  const waiting: ((worker: PoolWorker) => void)[] = [];
  let programs = 0;
  let closed = false;

  const acquire = () =>
    new Promise<PoolWorker>((resolve) => {
      const worker = idle.shift();
      if (worker) resolve(worker);
      else waiting.push(resolve);
    });
  const release = (worker: PoolWorker) => {
    const next = waiting.shift();
    if (next) next(worker);
    else idle.push(worker);
  };

  const compiler: Pick<Engine, 'compile'> = {
    async compile(program, specs) {
      const { model, inputs, outputs } = capture(program, specs);
      const id = programs++;
      return {
        inputs,
        outputs,
        async run(buffers, into = {}) {
          checkInputs(inputs, buffers);
          checkOutputs(outputs, into);
          if (closed) throw new TensorError('TENSOR_ENGINE_CLOSED', 'the pool is closed');
          const worker = await acquire();
          try {
            let opened = worker.opened.get(id);
            if (!opened) {
              opened = worker.thread.call.open(id, model, { inputs, outputs });
              worker.opened.set(id, opened);
            }
            await opened;
            const shared = Object.fromEntries(Object.entries(into).filter(([, buffer]) => isShared(buffer)));
            const results: Record<string, Buffers[string]> = {
              ...shared,
              ...(await worker.thread.call.run(id, buffers, shared)),
            };
            for (const [name, buffer] of Object.entries(into)) {
              if (shared[name]) continue;
              buffer.set(results[name]!);
              results[name] = buffer;
            }
            return results;
          } finally {
            release(worker);
          }
        },
        async dispose() {
          await Promise.all(
            workers.filter(({ opened }) => opened.delete(id)).map(({ thread }) => thread.call.release(id)),
          );
        },
      };
    },
  };
  return {
    ...compiler,
    name: 'onnx-pool',
    fidelity: 'bits',
    open: async (state, options) => openWorkspace(compiler, state, { ...options, shared: true }),
    async close() {
      closed = true;
      await Promise.all(workers.map(({ thread }) => thread.close()));
    },
  };
}

const isShared = (buffer: Buffers[string]): boolean => buffer.buffer instanceof SharedArrayBuffer;
