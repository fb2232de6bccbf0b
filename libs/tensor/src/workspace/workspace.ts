import {
  allocate,
  type Buffers,
  checkInputs,
  type Program,
  type Specs,
  specOf,
  type Workspace,
} from '../engine.js';
import { TensorError } from '../errors.js';
import type { Effect } from './effects.js';
import type { HostTensor } from './host-tensor.js';
import { type Access, type Commit, callOrder } from './order.js';

/** A program as an engine is ready to run it. */
export interface Prepared extends Access {
  readonly effects: readonly Effect[];
  /** Computes a call; see `CallOrder.enqueue`. Outputs that are not in `only` need not be there. */
  compute(feeds: Buffers, begun: () => void, only?: readonly string[]): Promise<Commit<Buffers>>;
}

/** What an engine brings to a workspace. */
export interface Machine {
  /** The state, frozen tensors included. */
  readonly tensors: Readonly<Record<string, HostTensor>>;
  readonly frozen: ReadonlySet<string>;
  prepare(program: Program): Prepared;
  /** @throws TensorError TENSOR_ENGINE_CLOSED */
  checkOpen?(): void;
  dispose(): Promise<void>;
}

export function openWorkspace(machine: Machine): Workspace {
  const { tensors, frozen } = machine;
  const specs: Specs = Object.fromEntries(Object.entries(tensors).map(([name, { spec }]) => [name, spec]));
  /** Programs are prepared when they are first used: of all that may be needed, few are. */
  const programs = new Map<string, { readonly program: Program; readonly prepared: () => Prepared }>();
  const order = callOrder();

  const programOf = (name: string) => {
    const found = programs.get(name);
    if (found) return found;
    throw new TensorError(
      'TENSOR_UNKNOWN_PROGRAM',
      `expected one of the programs ${[...programs.keys()].join(', ')}, got ${name}: add it before it runs`,
    );
  };
  const pick = (names: readonly string[]): Specs =>
    Object.fromEntries(names.map((name) => [name, specOf(specs, name)]));

  return {
    async add(added) {
      machine.checkOpen?.();
      for (const [name, program] of Object.entries(added)) {
        if (programs.has(name)) continue;
        pick(program.reads);
        programs.set(name, { program, prepared: once(() => machine.prepare(program)) });
      }
    },
    async load(values) {
      machine.checkOpen?.();
      const names = Object.keys(values);
      checkInputs(pick(names), values);
      for (const name of names)
        if (frozen.has(name))
          throw new TensorError('TENSOR_BAD_INPUT', `expected tensors that are not frozen, got ${name}`);
      await order.enqueue({ reads: [], writes: names }, async () => () => {
        for (const name of names) tensors[name]!.overwrite().view.set(values[name]!);
      });
    },
    async read(names, into = {}) {
      checkInputs(pick(Object.keys(into)), into);
      pick(names);
      return order.enqueue({ reads: names, writes: [] }, async () => {
        const buffers = Object.fromEntries(
          names.map((name) => {
            const buffer = into[name] ?? allocate(specs[name]!);
            buffer.set(tensors[name]!.read().view);
            return [name, buffer];
          }),
        );
        return () => buffers;
      });
    },
    async run(name, feeds, only) {
      machine.checkOpen?.();
      const known = programOf(name);
      checkInputs(known.program.inputs, feeds);
      const prepared = known.prepared();
      const outputs = await order.enqueue(prepared, (begun) => prepared.compute(feeds, begun, only));
      return only ? Object.fromEntries(only.map((name) => [name, outputs[name]!])) : outputs;
    },
    async dispose() {
      await order.settled();
      await machine.dispose();
    },
  };
}

function once<T extends object>(make: () => T): () => T {
  let made: T | undefined;
  return () => {
    made ??= make();
    return made;
  };
}
