import './no-telemetry.js';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import type { Buffers, Specs, TensorSpec, TypedBuffer } from '../engine.js';
import type { Model } from '../onnx/model.js';

/** What ONNX Runtime computes on. Only the CPU gives the same bits on every machine. */
export type Device = 'cpu' | 'cuda';

export interface SessionOptions {
  /** Threads of ONNX Runtime itself, within an operator. Default 1. */
  readonly threads?: number;
  /** Default `cpu`. */
  readonly device?: Device;
}

/** Numbers as ONNX Runtime takes them, which it does not copy. */
export type Feed = Tensor;

/** @param buffer in private memory: ONNX Runtime's binding refuses that which is shared */
export const feed = ({ dtype, shape }: TensorSpec, buffer: TypedBuffer): Feed =>
  new Tensor(dtype, buffer, shape);

/** ONNX Runtime's binding refuses shared memory. */
export const privateBuffer = (buffer: TypedBuffer): TypedBuffer =>
  buffer.buffer instanceof SharedArrayBuffer ? buffer.slice() : buffer;

export function inputFeeds(
  specs: Specs,
  { inputs }: Pick<Model, 'inputs'>,
  given: Buffers,
): Record<string, Feed> {
  return Object.fromEntries(
    Object.entries(inputs).map(([input, name]) => [input, feed(specs[name]!, privateBuffer(given[name]!))]),
  );
}

export interface Session {
  /**
   * Blocks its thread for as long as the program takes.
   * @param feeds by the names of the model's inputs
   * @returns the model's first `outputs` outputs, in new buffers. (Given buffers, the binding would copy to them.)
   */
  run(feeds: Readonly<Record<string, Feed>>, outputs: number): Promise<TypedBuffer[]>;
  release(): Promise<void>;
}

/** A model, and how ONNX Runtime is to open it. */
export interface Openable {
  readonly bytes: Uint8Array;
  /** Where the files lie that hold constants; they are mapped, and used where they lie. */
  readonly folder?: string;
  /** Lays out constant matrices for products, in memory of the session's own. Default true. */
  readonly packs?: boolean;
}

/** What goes wrong in a run is thrown: it need not be written to the standard error as well. */
const QUIET = { logSeverityLevel: 4 } as const;

async function openSession(
  { bytes, folder, packs = true }: Openable,
  { threads = 1, device = 'cpu' }: SessionOptions,
): Promise<Session> {
  const session = await InferenceSession.create(bytes, {
    // The CPU computes what the device has no kernel for.
    executionProviders: device === 'cpu' ? ['cpu'] : [device, 'cpu'],
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    executionMode: 'sequential',
    graphOptimizationLevel: 'all',
    // Planning one block for all of a run's memory costs a quarter more memory and gains no time (measured).
    enableMemPattern: false,
    logSeverityLevel: 3,
    extra: {
      session: {
        ...(folder !== undefined && { model_external_initializers_file_folder_path: folder }),
        ...(!packs && { disable_prepacking: '1' }),
      },
    },
  });
  return {
    async run(feeds, outputs) {
      const names = Array.from({ length: outputs }, (_, index) => `o${index}`);
      const results = await session.run(feeds, names, QUIET);
      return names.map((name) => results[name]!.data as TypedBuffer);
    },
    release: () => session.release(),
  };
}

/** Sessions by what they compute, each opened once for all that use it. */
export interface Sessions {
  use(key: string, model: () => Openable): Promise<Session>;
  /** To be called once for each `use`. The session is released with its last user. */
  leave(key: string): Promise<void>;
}

export function createSessions(options: SessionOptions): Sessions {
  const open = new Map<string, { readonly session: Promise<Session>; users: number }>();
  return {
    use(key, model) {
      const known = open.get(key) ?? { session: openSession(model(), options), users: 0 };
      known.users++;
      open.set(key, known);
      // What cannot be opened has no users.
      known.session.catch(() => open.delete(key));
      return known.session;
    },
    async leave(key) {
      const known = open.get(key);
      if (!known || --known.users > 0) return;
      open.delete(key);
      await (await known.session).release();
    },
  };
}
