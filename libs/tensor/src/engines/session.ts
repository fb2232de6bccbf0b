import './no-telemetry.js';
import { availableParallelism } from 'node:os';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import type { Buffers, Specs, TensorSpec, TypedBuffer } from '../engine.js';
import type { Model } from '../onnx/model.js';

export interface SessionOptions {
  /** Threads of ONNX Runtime itself, within an operator. Default 1. */
  readonly threads?: number;
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
   * @param only the indices of outputs that are asked for; default: all. Each is copied.
   * @returns the model's first `outputs` outputs, in new buffers. (Given buffers, the binding would copy to them.) There is
   *   nothing in place of those that are not asked for.
   */
  run(
    feeds: Readonly<Record<string, Feed>>,
    outputs: number,
    only?: ReadonlySet<number>,
  ): Promise<TypedBuffer[]>;
  release(): Promise<void>;
}

/** A model, and how ONNX Runtime is to open it. */
export interface Openable {
  readonly bytes: Uint8Array;
  /** Where the file lies that holds constants; they are mapped, and used where they lie. */
  readonly folder?: string;
  /** Lays out constant matrices for products, in memory of the session's own. Default true. */
  readonly packs?: boolean;
  /** Keeps the memory of a run for the next one. Default true. */
  readonly keepsMemory?: boolean;
}

/** What goes wrong in a run is thrown: it need not be written to the standard error as well. */
const QUIET = { logSeverityLevel: 4 } as const;

async function openSession(
  { bytes, folder, packs = true, keepsMemory = true }: Openable,
  { threads = 1 }: SessionOptions,
): Promise<Session> {
  const session = await InferenceSession.create(bytes, {
    executionProviders: ['cpu'],
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    executionMode: 'sequential',
    graphOptimizationLevel: 'all',
    // Planning one block for all of a run's memory costs a quarter more memory and gains no time (measured).
    enableMemPattern: false,
    enableCpuMemArena: keepsMemory,
    logSeverityLevel: 3,
    extra: {
      session: {
        ...(folder !== undefined && { model_external_initializers_file_folder_path: folder }),
        ...(!packs && { disable_prepacking: '1' }),
      },
    },
  });
  return {
    async run(feeds, outputs, only) {
      const all = Array.from({ length: outputs }, (_, index) => index);
      const wanted = only ? all.filter((index) => only.has(index)) : all;
      const results = await session.run(
        feeds,
        wanted.map((index) => `o${index}`),
        QUIET,
      );
      const buffers: TypedBuffer[] = [];
      for (const index of wanted) buffers[index] = results[`o${index}`]!.data as TypedBuffer;
      return buffers;
    },
    release: () => session.release(),
  };
}

/**
 * Sessions by what they compute, each opened once for all that use it. Of those that map a file few are open at a time:
 * the one that was not used for longest is closed, and opened again when it runs.
 */
export interface Sessions {
  use(key: string, model: () => Openable): Promise<Session>;
  /** To be called once for each `use`. The session is released with its last user. */
  leave(key: string): Promise<void>;
}

/** Threads that may compute with a mapped file in a process of all services: of the optimizer one a core, of three others 4. */
const MAPPING_THREADS = availableParallelism() + 12;
/**
 * Sessions of a thread that map a file. One of the gradient of a model of 30 layers takes some 35 MB and a mapping for each
 * of 270 tensors, of which a process has 65,530 on Linux: all threads together have 170. Opening one again takes a tenth of
 * the time of a run.
 * @internal
 */
export const MOST_MAPPING = Math.max(2, Math.floor(170 / MAPPING_THREADS));

interface Known {
  readonly session: Session;
  readonly model: () => Openable;
  users: number;
  /** Runs under way. */
  running: number;
  maps: boolean;
  /** Undefined while it is closed. */
  open: Promise<Session> | undefined;
}

export function createSessions(options: SessionOptions): Sessions {
  /** Those that were not used for longest come first. */
  const all = new Map<string, Known>();

  const opened = async (key: string, known: Known): Promise<Session> => {
    all.delete(key);
    if (!known.open) {
      const model = known.model();
      known.maps = model.folder !== undefined;
      if (known.maps) closeUnused();
      known.open = openSession(model, options);
    }
    all.set(key, known);
    const { open } = known;
    try {
      return await open;
    } catch (error) {
      if (known.open === open) known.open = undefined;
      throw error;
    }
  };
  /** Makes room for one more session that maps a file. */
  const closeUnused = () => {
    const mapping = [...all.values()].filter(({ open, maps }) => open && maps);
    const unused = mapping.filter(({ running }) => running === 0);
    for (const known of unused.slice(0, Math.max(0, mapping.length - MOST_MAPPING + 1))) void close(known);
  };
  const close = async (known: Known) => {
    const { open } = known;
    known.open = undefined;
    const session = await open?.catch(() => undefined);
    await session?.release();
  };
  const make = (key: string, model: () => Openable): Known => {
    const known: Known = {
      session: {
        async run(feeds, outputs, only) {
          known.running++;
          try {
            return await (await opened(key, known)).run(feeds, outputs, only);
          } finally {
            known.running--;
          }
        },
        release: () => close(known),
      },
      model,
      users: 0,
      running: 0,
      maps: false,
      open: undefined,
    };
    return known;
  };

  return {
    async use(key, model) {
      const known = all.get(key) ?? make(key, model);
      known.users++;
      try {
        await opened(key, known);
      } catch (error) {
        // What cannot be opened has no users.
        all.delete(key);
        throw error;
      }
      return known.session;
    },
    async leave(key) {
      const known = all.get(key);
      if (!known || --known.users > 0) return;
      all.delete(key);
      await known.session.release();
    },
  };
}
