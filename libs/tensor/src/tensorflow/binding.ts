import * as tf from '@tensorflow/tfjs';
import { onBackend } from '../capture/recording.js';
import type { TypedBuffer } from '../engine.js';
import { TensorError } from '../errors.js';
import { TAG } from './graph.js';
import { asNodeBackend, type NodeBackend } from './node-backend.js';

/** Numbers that a session is fed, through a placeholder of int32; see `feed`. */
export interface Fed {
  readonly placeholder: string;
  readonly shape: readonly number[];
  readonly numbers: Int32Array;
}

/** A graph that is open, with the variables in it. */
export interface Session {
  /**
   * Blocks its thread for as long as the graph takes.
   * @returns what was asked for, in new buffers; without fetches nothing runs
   */
  run(feeds: readonly Fed[], fetches: readonly string[]): TypedBuffer[];
  close(): void;
}

export interface Binding {
  /** Whether TensorFlow found a GPU. */
  readonly usesGpu: boolean;
  /** @param folder with a `saved_model.pb` */
  open(folder: string): Session;
}

const BACKEND = 'tensorflow';
/** The same code: whichever `npm run install:tensorflow`, or an image, has put there. */
const PACKAGES: readonly string[] = ['@tensorflow/tfjs-node-gpu', '@tensorflow/tfjs-node'];

/** Unless they are set: warnings alone, and of a GPU's memory what is needed. A thread sets it for the process, whose environment it shares. */
const ENVIRONMENT = { TF_CPP_MIN_LOG_LEVEL: '1', TF_FORCE_GPU_ALLOW_GROWTH: 'true' } as const;

interface NodePackage {
  /** Versions of the packages of tfjs, by their names: `tfjs-node` and those that it needs. */
  readonly version: Readonly<Record<string, string>>;
}

let loading: Promise<Binding> | undefined;

/** TensorFlow, loaded once a thread. @throws TensorError TENSOR_ENGINE_UNAVAILABLE where it is not installed, or cannot be loaded */
export function loadTensorflow(): Promise<Binding> {
  loading ??= load();
  return loading;
}

async function load(): Promise<Binding> {
  // The backend in use stays what it was: tfjs-node makes itself the one that every operation runs on.
  tf.backend();
  const before = tf.getBackend();
  for (const [name, value] of Object.entries(ENVIRONMENT)) process.env[name] ??= value;
  const { version } = await importFirst(PACKAGES);
  await tf.setBackend(before);
  const backend = asNodeBackend(tf.findBackend(BACKEND), version['tfjs-node']!);
  return {
    usesGpu: backend.isUsingGpuDevice,
    open(folder) {
      const id = backend.loadSavedModelMetaGraph(folder, TAG);
      return {
        run: (feeds, fetches) =>
          fetches.length === 0 ? [] : onBackend(BACKEND, () => run(backend, id, feeds, fetches)),
        close: () => backend.deleteSavedModel(id),
      };
    },
  };
}

async function importFirst([name, ...others]: readonly string[]): Promise<NodePackage> {
  try {
    return (await import(name!)) as NodePackage;
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code === 'ERR_MODULE_NOT_FOUND' && others.length > 0) return importFirst(others);
    throw new TensorError(
      'TENSOR_ENGINE_UNAVAILABLE',
      `expected TensorFlow for Node, got: ${(cause as Error).message.split('\n')[0]}. Install it by npm run install:tensorflow, or use an image that has it.`,
      { cause },
    );
  }
}

function run(
  backend: NodeBackend,
  id: number,
  feeds: readonly Fed[],
  fetches: readonly string[],
): TypedBuffer[] {
  const inputs = feeds.map(({ numbers, shape }) => tf.tensor(numbers, [...shape], 'int32'));
  let results: tf.Tensor[] = [];
  try {
    const infos = feeds.map(({ placeholder }) => ({ name: placeholder, tfDtype: 'DT_INT32' }));
    results = backend.runSavedModel(id, inputs, infos, fetches);
    return results.map((result) => result.dataSync() as TypedBuffer);
  } finally {
    for (const tensor of [...inputs, ...results]) tensor.dispose();
  }
}
