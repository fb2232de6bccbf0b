/** A workspace over an engine that knows programs alone: the state is kept in buffers of the host. */
import type { Tensor } from '@tensorflow/tfjs';
import {
  allocate,
  type Buffers,
  checkInputs,
  type Effects,
  type Engine,
  type Executable,
  type Frozen,
  type Specs,
  type StatefulProgram,
  sizeOf,
  type TypedBuffer,
  type Workspace,
} from './engine.js';
import { TensorError } from './errors.js';

const STATE = 'state.';
const INPUT = 'input.';
const KINDS = ['outputs', 'next', 'added'] as const;

/**
 * @param options.shared the state lies in memory that other threads can read
 */
export function openWorkspace(
  { compile }: Pick<Engine, 'compile'>,
  state: Specs,
  { frozen, shared = false }: { readonly frozen?: Frozen; readonly shared?: boolean } = {},
): Workspace {
  const tensors: Record<string, TypedBuffer> = Object.fromEntries(
    Object.entries(state).map(([name, spec]) => [name, frozen?.values[name] ?? allocate(spec, { shared })]),
  );
  const programs = new Map<string, Ready>();
  const pending = new Set<Call>();
  /** Settles when the effects of all calls made so far are in the state. */
  let last: Promise<unknown> = Promise.resolve();

  const commit = ({ outputs, specs }: { outputs: Buffers; specs: Specs }): Buffers => {
    for (const [name, buffer] of under('next.', outputs)) tensors[name]!.set(buffer);
    for (const [name, buffer] of under('added.', outputs)) {
      const sum = tensors[name]!;
      for (let i = 0; i < sum.length; i++) sum[i]! += buffer[i]!;
    }
    for (const [name, updates] of under('updates.', outputs)) {
      const indices = `indices.${name}`;
      writeRows(tensors[name]!, state[name]!.shape, specs[indices]!.shape, outputs[indices]!, updates);
    }
    return Object.fromEntries(under('outputs.', outputs));
  };

  const prepare = (ready: Ready): Promise<Executable> => {
    const { reads, inputs, run } = ready.program;
    ready.executable ??= compile(
      (all) => flat(run(unprefixed(STATE, reads, all), unprefixed(INPUT, Object.keys(inputs), all))),
      { ...prefixed(STATE, pick(state, reads)), ...prefixed(INPUT, inputs) },
    );
    return ready.executable;
  };

  const compute = async (call: Call, feeds: Buffers, before: readonly Call[]) => {
    const executable = await call.executable;
    for (const earlier of before) {
      const writes = await earlier.executable.then(writtenBy, () => []);
      if (writes.some((name) => call.reads.includes(name))) await earlier.committed;
    }
    const inputs = { ...prefixed(STATE, pick(tensors, call.reads)), ...prefixed(INPUT, feeds) };
    return { outputs: await executable.run(inputs), specs: executable.outputs };
  };

  return {
    async add(added) {
      for (const [name, program] of Object.entries(added))
        if (!programs.has(name)) programs.set(name, { program });
    },
    async load(values) {
      const specs = Object.fromEntries(Object.keys(values).map((name) => [name, specOf(state, name)]));
      checkInputs(specs, values);
      last = last.then(() => {
        for (const [name, buffer] of Object.entries(values)) tensors[name]!.set(buffer);
      });
      await last;
    },
    async read(names, into = {}) {
      await last;
      return Object.fromEntries(
        names.map((name) => {
          const buffer = into[name] ?? allocate(specOf(state, name));
          buffer.set(tensors[name]!);
          return [name, buffer];
        }),
      );
    },
    async run(name, feeds) {
      const ready = programs.get(name);
      if (!ready)
        throw new TensorError(
          'TENSOR_UNKNOWN_PROGRAM',
          `expected one of the programs ${[...programs.keys()].join(', ')}, got ${name}: add it before it runs`,
        );
      checkInputs(ready.program.inputs, feeds);
      const call: Call = { executable: prepare(ready), reads: ready.program.reads, committed: last };
      const before = [...pending];
      const earlier = last;
      pending.add(call);
      const computed = compute(call, feeds, before);
      computed.catch(() => {});
      const committed = earlier.then(() => computed).then(commit);
      call.committed = committed.then(
        () => {},
        () => {},
      );
      last = call.committed.then(() => pending.delete(call));
      return committed;
    },
    async dispose() {
      await last;
      for (const { executable } of programs.values()) await (await executable)?.dispose();
    },
  };
}

function specOf(state: Specs, name: string) {
  const spec = state[name];
  if (spec) return spec;
  throw new TensorError(
    'TENSOR_BAD_INPUT',
    `expected one of the tensors ${Object.keys(state).join(', ')}, got ${name}`,
  );
}

interface Ready {
  readonly program: StatefulProgram;
  executable?: Promise<Executable>;
}

interface Call {
  readonly executable: Promise<Executable>;
  readonly reads: readonly string[];
  /** Settles when its effects are in the state, or it has failed. */
  committed: Promise<unknown>;
}

const writtenBy = ({ outputs }: Executable): string[] =>
  Object.keys(outputs).flatMap((name) => {
    const [kind, ...rest] = name.split('.');
    return kind === 'outputs' ? [] : [rest.join('.')];
  });

const pick = <T>(all: Readonly<Record<string, T>>, names: readonly string[]): Record<string, T> =>
  Object.fromEntries(names.map((name) => [name, all[name]!]));
const prefixed = <T>(prefix: string, all: Readonly<Record<string, T>>): Record<string, T> =>
  Object.fromEntries(Object.entries(all).map(([name, value]) => [prefix + name, value]));
const unprefixed = (prefix: string, names: readonly string[], all: Readonly<Record<string, Tensor>>) =>
  Object.fromEntries(names.map((name) => [name, all[prefix + name]!]));

/** Effects as the outputs of a plain program. */
function flat(effects: Effects): Record<string, Tensor> {
  const named = KINDS.flatMap((kind) =>
    Object.entries(effects[kind] ?? {}).map(([name, tensor]) => [`${kind}.${name}`, tensor] as const),
  );
  const rows = Object.entries(effects.rows ?? {}).flatMap(([name, { indices, updates }]) => [
    [`indices.${name}`, indices] as const,
    [`updates.${name}`, updates] as const,
  ]);
  return Object.fromEntries([...named, ...rows]);
}

const under = (prefix: string, buffers: Buffers): [string, TypedBuffer][] =>
  Object.entries(buffers).flatMap(([name, buffer]) =>
    name.startsWith(prefix) ? [[name.slice(prefix.length), buffer] as [string, TypedBuffer]] : [],
  );

function writeRows(
  tensor: TypedBuffer,
  shape: readonly number[],
  [rows, depth]: readonly number[],
  indices: TypedBuffer,
  updates: TypedBuffer,
): void {
  const size = sizeOf(shape.slice(depth));
  for (let row = 0; row < rows!; row++) {
    let place = 0;
    for (let d = 0; d < depth!; d++) place = place * shape[d]! + indices[row * depth! + d]!;
    tensor.set(updates.subarray(row * size, (row + 1) * size), place * size);
  }
}
