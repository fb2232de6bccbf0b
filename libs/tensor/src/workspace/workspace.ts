import { allocate, type Buffers, type Program, type Specs, type Workspace } from '../engine.js';
import { checkedWorkspace } from './checked.js';
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
  const { tensors, frozen, checkOpen } = machine;
  const specs: Specs = Object.fromEntries(Object.entries(tensors).map(([name, { spec }]) => [name, spec]));
  /** Programs are prepared when they are first used: of all that may be needed, few are. */
  const programs = new Map<string, () => Prepared>();
  const order = callOrder();

  return checkedWorkspace(specs, frozen, {
    ...(checkOpen && { checkOpen }),
    async add(added) {
      for (const [name, program] of Object.entries(added))
        programs.set(
          name,
          once(() => machine.prepare(program)),
        );
    },
    async load(values) {
      const writes = Object.keys(values);
      await order.enqueue({ reads: [], writes }, async () => () => {
        for (const name of writes) tensors[name]!.overwrite().view.set(values[name]!);
      });
    },
    read: (names, into) =>
      order.enqueue({ reads: names, writes: [] }, async () => {
        const buffers = Object.fromEntries(
          names.map((name) => {
            const buffer = into[name] ?? allocate(specs[name]!);
            buffer.set(tensors[name]!.read().view);
            return [name, buffer];
          }),
        );
        return () => buffers;
      }),
    async run(name, feeds, only) {
      const prepared = programs.get(name)!();
      return order.enqueue(prepared, (begun) => prepared.compute(feeds, begun, only));
    },
    async dispose() {
      await order.settled();
      await machine.dispose();
    },
  });
}

function once<T extends object>(make: () => T): () => T {
  let made: T | undefined;
  return () => {
    made ??= make();
    return made;
  };
}
