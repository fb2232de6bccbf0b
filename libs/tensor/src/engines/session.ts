import './no-telemetry.js';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { allocate, type Buffers, type Specs, type TypedBuffer } from '../engine.js';

/** What ONNX Runtime computes on. Only the CPU gives the same bits on every machine. */
export type Device = 'cpu' | 'cuda';

export interface SessionOptions {
  /** Threads of ONNX Runtime itself, within an operator. Default 1. */
  readonly threads?: number;
  /** Default `cpu`. */
  readonly device?: Device;
}

/** An ONNX Runtime session over buffers. `run` blocks its thread for as long as the program takes. */
export interface Session {
  run(inputs: Buffers, into: Buffers): Promise<Buffers>;
  release(): Promise<void>;
}

export async function openSession(
  model: Uint8Array,
  specs: { inputs: Specs; outputs: Specs },
  { threads = 1, device = 'cpu' }: SessionOptions,
): Promise<Session> {
  const session = await InferenceSession.create(model, {
    // The CPU computes what the device has no kernel for.
    executionProviders: device === 'cpu' ? ['cpu'] : [device, 'cpu'],
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    executionMode: 'sequential',
    graphOptimizationLevel: 'all',
    // Planning one block for all of a run's memory costs a quarter more memory and gains no time (measured).
    enableMemPattern: false,
    logSeverityLevel: 3,
  });
  // ONNX Runtime's binding refuses shared memory: such buffers go through private ones, kept between runs.
  const staging = new Map<string, TypedBuffer>();
  const privateBuffer = (
    kind: 'in' | 'out',
    name: string,
    spec: Specs[string],
    given: TypedBuffer | undefined,
  ): TypedBuffer => {
    if (given && !isShared(given)) return given;
    if (!given) return allocate(spec);
    const key = `${kind} ${name}`;
    const kept = staging.get(key) ?? allocate(spec);
    staging.set(key, kept);
    return kept;
  };

  const runOne = async (inputs: Buffers, into: Buffers): Promise<Buffers> => {
    const feeds: Record<string, Tensor> = {};
    for (const [name, spec] of Object.entries(specs.inputs)) {
      const given = inputs[name]!;
      const buffer = privateBuffer('in', name, spec, given);
      if (buffer !== given) buffer.set(given);
      feeds[name] = new Tensor(spec.dtype, buffer, spec.shape);
    }
    const fetches: Record<string, Tensor> = {};
    const results: Record<string, TypedBuffer> = {};
    for (const [name, spec] of Object.entries(specs.outputs)) {
      const buffer = privateBuffer('out', name, spec, into[name]);
      results[name] = into[name] ?? buffer;
      fetches[name] = new Tensor(spec.dtype, buffer, spec.shape);
    }
    await session.run(feeds, fetches);
    for (const [name, result] of Object.entries(results)) {
      const written = fetches[name]!.data as TypedBuffer;
      if (written !== result) result.set(written);
    }
    return results;
  };
  // The binding starts a run in a later turn: two at a time would share the buffers kept for shared memory.
  let last: Promise<unknown> = Promise.resolve();
  return {
    run(inputs, into) {
      const run = last.then(() => runOne(inputs, into));
      last = run.catch(() => {});
      return run;
    },
    release: () => session.release(),
  };
}

const isShared = (buffer: TypedBuffer): boolean => buffer.buffer instanceof SharedArrayBuffer;
