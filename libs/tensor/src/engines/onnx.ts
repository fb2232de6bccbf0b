import {
  allocate,
  type Engine,
  type Frozen,
  type Program,
  readSpecs,
  type Specs,
  sizeOf,
  specOf,
  type TensorSpec,
  type TypedBuffer,
} from '../engine.js';
import { blocksOf, doBlocks, type HostPlan, scalarsOf, spansOf, sumsOf } from '../kernels/plan.js';
import { plainLoops, type Span } from '../loops/loops.js';
import { type Constant, MOST_CONSTANT_BYTES, withConstants, withoutInputs } from '../onnx/constants.js';
import type { Model } from '../onnx/model.js';
import { applyEffects, outputsOf } from '../workspace/effects.js';
import { type HostTensor, hostTensor } from '../workspace/host-tensor.js';
import type { Access } from '../workspace/order.js';
import { type Machine, openWorkspace, type Prepared } from '../workspace/workspace.js';
import { captureProgram } from './captured.js';
import { createFrozenStore, type FrozenStore, namesOf } from './frozen.js';
import { mapFile } from './mapped.js';
import {
  createSessions,
  type Feed,
  feed,
  inputFeeds,
  type Openable,
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
 * its model: a session for the values as they are, opened at the first run after they were loaded. Frozen tensors that
 * lie in a file are mapped: sessions of all threads and processes share the pages of that file.
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
    place: 'host',
    open: async (state, options) => open(state, options),
    close: async () => {},
  };
}

interface MachineOptions {
  readonly state: Specs;
  readonly frozen: Frozen | undefined;
  readonly store: FrozenStore;
  readonly sessions: Sessions;
  /** Number of the workspace among those of its engine. */
  readonly id: number;
}

function createMachine({ state, frozen, store, sessions, id }: MachineOptions): Machine {
  const mapped = frozen && 'stored' in frozen ? mapFile(frozen.stored) : undefined;
  const kept = frozen && !mapped ? store.use(state, frozen) : {};
  const frozenNames = new Set(frozen && namesOf(frozen));
  const memoryOf = (name: string, spec: TensorSpec): Span =>
    mapped?.has(name) ? mapped.span(name, spec) : { view: kept[name] ?? allocate(spec) };
  for (const name of frozenNames) specOf(state, name);
  const tensors: Record<string, HostTensor> = Object.fromEntries(
    Object.entries(state).map(([name, spec]) => [
      name,
      hostTensor(name, spec, memoryOf(name, spec), { adopts: true }),
    ]),
  );
  const feeds = new WeakMap<TypedBuffer, Feed>();
  const stateFeed = (tensor: HostTensor, spec: TensorSpec): Feed => {
    const { view } = tensor.read();
    if (spec !== tensor.spec) return feed(spec, view.subarray(0, sizeOf(spec.shape)));
    const known = feeds.get(view) ?? feed(spec, view);
    feeds.set(view, known);
    return known;
  };
  /** Names the numbers that a tensor has now, among all workspaces of the engine. */
  const valueName = (name: string) =>
    frozen && frozenNames.has(name) ? `${frozen.hash}/${name}` : `${id}/${name}@${tensors[name]!.version}`;
  const bakedSessions: BakedSession[] = [];

  const modelProgram = (program: Program, model: Model, access: Access): Prepared => {
    const constants = program.constants ?? [];
    const inModel = new Set(
      bakeable(
        constants.filter((name) => !mapped?.has(name)),
        state,
      ),
    );
    const given = readSpecs(program, state);
    const entries = Object.entries(model.state).map(([input, name]) => ({
      input,
      name,
      spec: given[name]!,
      tensor: tensors[name]!,
    }));
    const baked = entries.filter(({ name }) => mapped?.has(name) || inModel.has(name));
    const fed = entries.filter((entry) => !baked.includes(entry));
    // What is laid out anew for a session is no longer shared: that is worth it for programs that run often.
    const runsOften = baked.every(({ name }) => constants.includes(name));
    const packs = mapped?.isPacked || runsOften;
    // A model that is mapped is large, and has a session for each of its shapes: those would keep the peak of each.
    const keepsMemory = !mapped || runsOften;
    let rest: Uint8Array | undefined;
    const session = bakedSession(sessions, {
      key: () =>
        [model.hash, packs, ...baked.map(({ input, name }) => `${input}=${valueName(name)}`)].join(' '),
      model() {
        if (baked.length === 0) return { bytes: model.bytes };
        rest ??= withoutInputs(model.bytes, new Set(baked.map(({ input }) => input)));
        const values = baked.map(({ input, name, tensor }): [string, Constant] => [
          input,
          { spec: tensor.spec, values: mapped?.part(name, tensor.spec) ?? tensor.read().view },
        ]);
        const bytes = withConstants(rest, Object.fromEntries(values));
        return { bytes, packs, keepsMemory, ...(mapped && { folder: mapped.folder }) };
      },
    });
    bakedSessions.push(session);
    return {
      ...access,
      effects: model.effects,
      async compute(given, begun, only) {
        begun();
        const { run } = await session.now();
        const results = await run(
          {
            ...Object.fromEntries(fed.map(({ input, tensor, spec }) => [input, stateFeed(tensor, spec)])),
            ...inputFeeds(program.inputs, model, given),
          },
          model.outputs,
          only && neededFor(model, only),
        );
        const needed = model.effects.filter(
          ({ kind, name }) => kind !== 'outputs' || !only || only.includes(name),
        );
        const computed = needed.map((effect) => ({
          ...effect,
          span: { view: results[effect.output]! },
        }));
        return () => {
          applyEffects(computed, tensors, plainLoops);
          return outputsOf(computed);
        };
      },
    };
  };

  return {
    tensors,
    frozen: frozenNames,
    prepare(program) {
      const captured = captureProgram(program, state, this.frozen);
      const { reads, writes } = captured;
      if ('model' in captured) return modelProgram(program, captured.model, { reads, writes });
      const { plan, effects } = captured;
      return { reads, writes, inPlace: true, effects, compute: loopsOver(plan, state, tensors) };
    },
    async dispose() {
      if (frozen && !mapped) store.leave(frozen);
      for (const session of bakedSessions) await session.leave();
    },
  };
}

/** The outputs of a model that it takes for the state, and for some of a program's outputs. */
const neededFor = ({ effects }: Model, only: readonly string[]): ReadonlySet<number> =>
  new Set(
    effects.flatMap(({ kind, name, output }) => (kind !== 'outputs' || only.includes(name) ? [output] : [])),
  );

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
function bakeable(names: readonly string[], state: Specs): readonly string[] {
  const bytes = names.reduce((sum, name) => sum + 4 * sizeOf(specOf(state, name).shape), 0);
  return bytes <= MOST_CONSTANT_BYTES ? names : [];
}

interface BakedSession {
  /** The session for the constants as they are now. */
  now(): Promise<Session>;
  leave(): Promise<void>;
}

function bakedSession(
  sessions: Sessions,
  { key, model }: { readonly key: () => string; readonly model: () => Openable },
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
