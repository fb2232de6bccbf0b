import type { Engine, Frozen, Program, Specs } from '../engine.js';
import { frozenSpecs } from '../engines/frozen.js';
import { TensorError } from '../errors.js';
import { checkedWorkspace } from '../workspace/checked.js';
import type { Precision } from './backend.js';
import { loadTensorflow } from './binding.js';
import { createSharedSession, type SharedSession } from './shared-session.js';

/** What TensorFlow has to find. */
export type Device = 'cpu' | 'cuda';

export interface TensorflowOptions {
  /**
   * `bf16`: operands and results of matrix products are rounded to bfloat16, and the sums within a product are float32;
   * everything else, weights and the optimizer's state among it, is float32. Default `float32`: on a GPU in TF32, unless
   * NVIDIA_TF32_OVERRIDE=0.
   */
  readonly precision?: Precision;
  /** Whether XLA compiles programs: the first run of each takes seconds to minutes. Default false. */
  readonly xla?: boolean;
}

/**
 * Captures programs to a TensorFlow graph of which the state is resource variables, on the GPU where there is one. It runs
 * in the calling thread, which blocks during a run: for threads made for computing. Sums on a GPU are added up in no fixed
 * order: its numbers are close to those of other engines, and not the same in their last bits from run to run.
 *
 * Programs of workspaces with the same frozen tensors are gathered into one session, which has these once. For a program
 * that comes later a new session is opened, to which the state is carried through the host.
 *
 * Indices that lie outside of a tensor are an error on the CPU alone, after which rows before them may be written; a GPU, and
 * XLA, take others in their place.
 *
 * TensorFlow is not installed with this package: `npm run install:tensorflow`, or an image, brings it.
 */
export function tensorflowEngine({ precision = 'float32', xla = false }: TensorflowOptions = {}): Engine {
  const shared = new Map<string, SharedSession>();
  const open = async (state: Specs, frozen: Frozen | undefined) => {
    const frozenNames = new Set(frozen && Object.keys(frozenSpecs(state, frozen)));
    const binding = await loadTensorflow();
    const create = () => createSharedSession(binding, frozen, frozenNames, { precision, xla });
    // Those that have other tensors of the same file, or of the same hash, share nothing.
    const key = frozen && JSON.stringify([frozen.hash, ...[...frozenNames].sort()]);
    const session = (key !== undefined && shared.get(key)) || create();
    if (key !== undefined) shared.set(key, session);
    const part = session.join(state);
    const programs = new Map<string, Program>();
    // Calls that are made in one turn come after it, in their order: the session that one of them opens has the programs of all.
    const turn = () => Promise.resolve();
    let disposed = false;
    const checkOpen = () => {
      if (disposed)
        throw new TensorError(
          'TENSOR_ENGINE_CLOSED',
          'expected a workspace in use, got one that was disposed of',
        );
    };
    return checkedWorkspace(state, frozenNames, {
      checkOpen,
      async add(added, { soon } = {}) {
        for (const [name, program] of Object.entries(added)) {
          programs.set(name, program);
          if (soon) part.ask(program);
        }
      },
      async load(values) {
        await turn();
        part.load(values);
      },
      async read(names, into) {
        checkOpen();
        await turn();
        const values = part.read(names);
        for (const name of names) into[name]?.set(values[name]!);
        return Object.fromEntries(names.map((name) => [name, into[name] ?? values[name]!]));
      },
      async run(name, feeds, only) {
        const asked = part.ask(programs.get(name)!);
        await turn();
        return part.run(asked, feeds, only);
      },
      async dispose() {
        if (disposed) return;
        disposed = true;
        await turn();
        try {
          part.leave();
        } finally {
          if (key !== undefined && !session.used) shared.delete(key);
        }
      },
    });
  };
  return {
    name: 'tensorflow',
    fidelity: 'close',
    place: 'device',
    open: (state, { frozen } = {}) => open(state, frozen),
    close: async () => {},
  };
}

/**
 * Resolves where TensorFlow is installed and finds the device that is asked for.
 * @throws TensorError TENSOR_ENGINE_UNAVAILABLE, TENSOR_DEVICE_UNAVAILABLE
 */
export async function requireTensorflow(device: Device): Promise<void> {
  const { usesGpu } = await loadTensorflow();
  if (device === 'cpu' || usesGpu) return;
  throw new TensorError(
    'TENSOR_DEVICE_UNAVAILABLE',
    'expected a GPU, got none that TensorFlow can use: it takes an NVIDIA GPU, its driver, and an image built with DEVICE=cuda, or npm run install:tensorflow -- --cuda',
  );
}
