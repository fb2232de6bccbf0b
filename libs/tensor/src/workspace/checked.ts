import { type Buffers, checkInputs, type Program, type Specs, specOf, type Workspace } from '../engine.js';
import { TensorError } from '../errors.js';

/** A workspace that is called with what fits alone. */
export interface Unchecked extends Omit<Workspace, 'read'> {
  read(names: readonly string[], into: Buffers): Promise<Buffers>;
  /** @throws TensorError TENSOR_ENGINE_CLOSED */
  checkOpen?(): void;
}

/** Refuses what does not fit the state or the programs, before it reaches a workspace. */
export function checkedWorkspace(state: Specs, frozen: ReadonlySet<string>, workspace: Unchecked): Workspace {
  const programs = new Map<string, Program>();
  const programOf = (name: string): Program => {
    const found = programs.get(name);
    if (found) return found;
    throw new TensorError(
      'TENSOR_UNKNOWN_PROGRAM',
      `expected one of the programs ${[...programs.keys()].join(', ')}, got ${name}: add it before it runs`,
    );
  };
  const pick = (names: readonly string[]): Specs =>
    Object.fromEntries(names.map((name) => [name, specOf(state, name)]));

  return {
    /** Hands on the programs that are new. */
    async add(added, options) {
      workspace.checkOpen?.();
      const fresh = Object.entries(added).filter(([name]) => !programs.has(name));
      for (const [, { reads }] of fresh) pick(reads);
      for (const [name, program] of fresh) programs.set(name, program);
      await workspace.add(Object.fromEntries(fresh), options);
    },
    async load(values) {
      workspace.checkOpen?.();
      const names = Object.keys(values);
      checkInputs(pick(names), values);
      for (const name of names)
        if (frozen.has(name))
          throw new TensorError('TENSOR_BAD_INPUT', `expected tensors that are not frozen, got ${name}`);
      await workspace.load(values);
    },
    async read(names, into = {}) {
      checkInputs(pick(Object.keys(into)), into);
      pick(names);
      return workspace.read(names, into);
    },
    async run(name, feeds, only) {
      workspace.checkOpen?.();
      checkInputs(programOf(name).inputs, feeds);
      const outputs = await workspace.run(name, feeds, only);
      return only ? Object.fromEntries(only.map((name) => [name, outputs[name]!])) : outputs;
    },
    dispose: () => workspace.dispose(),
  };
}
