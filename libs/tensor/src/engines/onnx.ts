import { compileOver } from '../compile.js';
import {
  allocate,
  type Engine,
  type Frozen,
  type Specs,
  type StatefulProgram,
  type TypedBuffer,
} from '../engine.js';
import { blocksOf, doBlocks, type HostPlan, scalarsOf, spansOf, sumsOf } from '../kernels/plan.js';
import { plainLoops } from '../loops/loops.js';
import { MOST_CONSTANT_BYTES, type Model, withConstants } from '../onnx/model.js';
import { applyEffects, outputsOf } from '../workspace/effects.js';
import { type HostTensor, hostTensor } from '../workspace/host-tensor.js';
import type { Access } from '../workspace/order.js';
import { type Machine, openWorkspace, type Prepared } from '../workspace/workspace.js';
import { captureProgram } from './captured.js';
import { createFrozenStore, type FrozenStore } from './frozen.js';
import {
  createSessions,
  type Feed,
  feed,
  inputFeeds,
  privateBuffer,
  type Session,
  type SessionOptions,
  type Sessions,
} from './session.js';

/**
 * Captures programs to ONNX and runs them in the calling thread, which blocks during a run: for threads made for
 * computing. `threads` is ONNX Runtime's own parallelism within an operator; results for small matrices differ in
 * their last bits between thread counts, so what must be the same everywhere runs with the default of one.
 *
 * The state lies in private buffers, which ONNX Runtime reads where they are. `constants` of a program are written into
 * its model: a session for the values as they are, opened at the first run after they were loaded.
 */
export function onnxEngine(options: SessionOptions = {}): Engine {
  const sessions = createSessions(options);
  const store = createFrozenStore(privateBuffer);
  let workspaces = 0;
  const open = (state: Specs, { frozen }: { readonly frozen?: Frozen } = {}) =>
    openWorkspace(createMachine({ state, frozen, store, sessions, id: workspaces++ }));
  return {
    name: 'onnx',
    fidelity: 'bits',
    compile: compileOver(open),
    open: async (state, options) => open(state, options),
    close: async () => {},
  };
}

interface MachineOptions {
  readonly state: Specs;
  readonly frozen: Frozen | undefined;
  readonly store: FrozenStore;
  readonly sessions: Sessions;
  /** Of the workspace, in its engine. */
  readonly id: number;
}

function createMachine({ state, frozen, store, sessions, id }: MachineOptions): Machine {
  const kept = frozen ? store.use(state, frozen) : {};
  const tensors: Record<string, HostTensor> = Object.fromEntries(
    Object.entries(state).map(([name, spec]) => [
      name,
      hostTensor(name, spec, { view: kept[name] ?? allocate(spec) }, { adopts: true }),
    ]),
  );
  const feeds = new WeakMap<TypedBuffer, Feed>();
  const stateFeed = (tensor: HostTensor): Feed => {
    const { view } = tensor.read();
    const known = feeds.get(view) ?? feed(tensor.spec, view);
    feeds.set(view, known);
    return known;
  };
  /** Names the numbers that a tensor has now, among all workspaces of the engine. */
  const valueName = (name: string) =>
    frozen && kept[name] ? `${frozen.hash}/${name}` : `${id}/${name}@${tensors[name]!.version}`;
  const bakedSessions: BakedSession[] = [];

  const modelProgram = (program: StatefulProgram, model: Model, access: Access): Prepared => {
    const constants = new Set(bakeable(program.constants ?? [], tensors));
    const entries = Object.entries(model.state).map(([input, name]) => ({ input, tensor: tensors[name]! }));
    const baked = entries.filter(({ tensor }) => constants.has(tensor.name));
    const fed = entries.filter(({ tensor }) => !constants.has(tensor.name));
    const session = bakedSession(sessions, {
      key: () =>
        [model.hash, ...baked.map(({ input, tensor }) => `${input}=${valueName(tensor.name)}`)].join(' '),
      model: () =>
        baked.length === 0
          ? model.bytes
          : withConstants(
              model.bytes,
              Object.fromEntries(baked.map(({ input, tensor }) => [input, tensor.read().view])),
            ),
    });
    bakedSessions.push(session);
    return {
      ...access,
      effects: model.effects,
      async compute(given, begun) {
        begun();
        const { run } = await session.now();
        const results = await run(
          {
            ...Object.fromEntries(fed.map(({ input, tensor }) => [input, stateFeed(tensor)])),
            ...inputFeeds(program.inputs, model, given),
          },
          model.effects.length,
        );
        const computed = model.effects.map((effect, i) => ({ ...effect, span: { view: results[i]! } }));
        return () => {
          applyEffects(computed, tensors, plainLoops);
          return outputsOf(computed);
        };
      },
    };
  };

  return {
    tensors,
    frozen: new Set(Object.keys(kept)),
    prepare(program) {
      const captured = captureProgram(program, state, this.frozen);
      const { reads, writes } = captured;
      if ('model' in captured) return modelProgram(program, captured.model, { reads, writes });
      const { plan, effects } = captured;
      return { reads, writes, inPlace: true, effects, compute: loopsOver(plan, state, tensors) };
    },
    async dispose() {
      if (frozen) store.leave(frozen);
      for (const session of bakedSessions) await session.leave();
    },
  };
}

/** A program of loops alone, in the calling thread. */
function loopsOver(
  plan: HostPlan,
  state: Specs,
  tensors: Readonly<Record<string, HostTensor>>,
): Prepared['compute'] {
  const blocks = blocksOf(plan, state);
  return async (feeds, begun) => {
    begun();
    const results = doBlocks(plan, blocks, scalarsOf(plan, feeds), spansOf(plan, tensors), plainLoops);
    for (const name of plan.zeros) tensors[name]!.setZero();
    return () => sumsOf(plan, blocks, results);
  };
}

/** Constants that fit in a model, all of them or none. */
function bakeable(
  names: readonly string[],
  tensors: Readonly<Record<string, HostTensor>>,
): readonly string[] {
  const bytes = names.reduce((sum, name) => sum + (tensors[name]?.read().view.byteLength ?? 0), 0);
  return bytes <= MOST_CONSTANT_BYTES ? names : [];
}

interface BakedSession {
  /** The session for the constants as they are now. */
  now(): Promise<Session>;
  leave(): Promise<void>;
}

function bakedSession(
  sessions: Sessions,
  { key, model }: { readonly key: () => string; readonly model: () => Uint8Array },
): BakedSession {
  let current: string | undefined;
  let session: Promise<Session> | undefined;
  const leave = async () => {
    const left = current;
    current = undefined;
    if (left !== undefined) await sessions.leave(left);
  };
  return {
    async now() {
      const wanted = key();
      if (wanted === current) return session!;
      const left = leave();
      current = wanted;
      session = sessions.use(wanted, model);
      await left;
      try {
        return await session;
      } catch (error) {
        current = undefined;
        throw error;
      }
    },
    leave,
  };
}
