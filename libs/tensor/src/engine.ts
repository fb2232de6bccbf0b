import type { Tensor } from '@tensorflow/tfjs';
import { TensorError } from './errors.js';

export type DType = 'float32' | 'int32';

export interface TensorSpec {
  readonly shape: readonly number[];
  readonly dtype: DType;
}

export type Specs = Readonly<Record<string, TensorSpec>>;
export type TypedBuffer = Float32Array | Int32Array;
export type Buffers = Readonly<Record<string, TypedBuffer>>;

export type Tensors = Readonly<Record<string, Tensor>>;

/** What a program computes: outputs for the caller, and what becomes of the state. */
export interface Effects {
  /** Copied to the caller: losses, metrics, logits. float32 or int32. */
  readonly outputs?: Tensors;
  /** New contents of tensors of the state, each of the same shape. What they replace is given up. */
  readonly next?: Tensors;
  /** Added to tensors of the state in the order of the calls; a pool may compute the calls side by side. */
  readonly added?: Tensors;
  /** Rows of tensors of the state, written where they lie after everything else is computed. */
  readonly rows?: Readonly<Record<string, RowUpdates>>;
}

/**
 * Row n of `updates` replaces the part of a tensor that `indices[n]` points to, as in `tf.tensorScatterUpdate`: indices
 * [N, k] int32 into the first k dimensions, all of them within the tensor, and updates [N, ...shape.slice(k)]. Where
 * indices are equal, so must be their updates.
 */
export interface RowUpdates {
  readonly indices: Tensor;
  readonly updates: Tensor;
}

/**
 * A pure function of state and inputs, made of tfjs ops alone: gradients through `tf.grads` and `tf.valueAndGrads` are
 * allowed; reading values (`dataSync`), randomness and branching on values are not.
 */
export interface Program {
  readonly inputs: Specs;
  /** The tensors of the state that it is given. Programs that write none of these may run beside it. */
  readonly reads: readonly string[];
  /** Of these it is given the first rows alone, as many as said; frozen ones cannot be among them. */
  readonly first?: Readonly<Record<string, number>>;
  /**
   * The program runs many times between loads of what it reads: an engine may compile the values of these tensors into
   * it, which takes longer to prepare and less to run. Bits may differ from those of the same program without it.
   */
  readonly constants?: readonly string[];
  /** Names in `next` of which each number depends on numbers at its own place alone: they may be written where they lie. */
  readonly inPlace?: readonly string[];
  readonly run: (state: Tensors, inputs: Tensors) => Effects;
}

/**
 * Tensors that are the same wherever they are used: an engine keeps them once, however many workspaces have them. It may
 * keep the buffers themselves, which must not change afterwards. Those that lie in a file it may map, so that all threads
 * and processes share them; what it cannot map, it reads.
 */
export type Frozen = {
  /** Names the values: equal hashes are equal values. */
  readonly hash: string;
} & ({ readonly values: Buffers } | { readonly stored: StoredTensors });

/** Tensors in a file that nobody changes, row-major and little-endian. */
export interface StoredTensors {
  readonly file: string;
  /** Where each begins, in bytes: multiples of 4. */
  readonly offsets: Readonly<Record<string, number>>;
  /** Matrices that lie in the file once more, laid out for products: an engine that can maps those, and lays out none. */
  readonly packed?: Readonly<Record<string, readonly PackedMatrix[]>>;
}

/** A matrix as an engine laid it out. */
export interface PackedMatrix {
  /** The engine's name for what lies there. */
  readonly key: string;
  /** Where it begins, in bytes. */
  readonly offset: number;
  readonly bytes: number;
}

/** Named tensors that live where the engine computes, and the programs over them. */
export interface Workspace {
  /**
   * Makes programs known, with their shapes; names that are there already are kept as they are. One call with all that
   * will be asked for beats several: an engine may have to begin a new session for what comes later, and another may
   * capture a program when it first runs, so that what never runs costs nothing.
   * @param options.soon they run whatever else does: a session that is begun for another program has them too. Default false.
   */
  add(programs: Readonly<Record<string, Program>>, options?: { readonly soon?: boolean }): Promise<void>;
  /**
   * Host to device: tensors of the state, by name; the values are copied by the time it ends. What was never loaded is 0.
   * Calls made before it see what was there before, those made after it what was loaded.
   */
  load(values: Buffers): Promise<void>;
  /** Device to host, in new buffers or in those of `into`. */
  read(names: readonly string[], into?: Buffers): Promise<Buffers>;
  /**
   * Feeds in, `outputs` out, in new buffers. A call sees the effects of all calls made before it. A call that fails
   * changes nothing. The feeds must not change until it ends.
   * @param only the outputs that are asked for; default: all. Each that is not saves a copy.
   * @throws TensorError TENSOR_BAD_INPUT when the feeds are not what the program takes; TENSOR_UNKNOWN_PROGRAM.
   */
  run(program: string, feeds: Buffers, only?: readonly string[]): Promise<Buffers>;
  dispose(): Promise<void>;
}

export interface Engine {
  readonly name: string;
  /** `bits`: the same program, state and feeds give the same bits in every process; `close`: within rounding. */
  readonly fidelity: 'bits' | 'close';
  /**
   * Where the state lies: in memory of the `host`, where what is read is a copy at most, or on a `device` that computes
   * beside the caller: then reading waits for all that was asked of it, and little should come back.
   */
  readonly place: 'host' | 'device';
  /** @param options.frozen values of some of the state, never loaded or written afterwards */
  open(state: Specs, options?: { readonly frozen?: Frozen }): Promise<Workspace>;
  close(): Promise<void>;
}

export const sizeOf = (shape: readonly number[]): number => shape.reduce((size, dim) => size * dim, 1);

export const float32 = (...shape: number[]): TensorSpec => ({ shape, dtype: 'float32' });
export const int32 = (...shape: number[]): TensorSpec => ({ shape, dtype: 'int32' });

/** A zeroed buffer of a tensor's size. `shared`: other threads can read it without a copy. */
export function allocate(spec: TensorSpec, options: { shared?: boolean } = {}): TypedBuffer {
  const size = sizeOf(spec.shape);
  const memory = options.shared ? new SharedArrayBuffer(size * 4) : new ArrayBuffer(size * 4);
  return spec.dtype === 'int32' ? new Int32Array(memory) : new Float32Array(memory);
}

/** The tensors of the state as a program is given them. @throws TensorError TENSOR_BAD_INPUT when there are not as many rows */
export function readSpecs({ reads, first = {} }: Pick<Program, 'reads' | 'first'>, state: Specs): Specs {
  return Object.fromEntries(
    reads.map((name) => {
      const spec = specOf(state, name);
      const rows = first[name];
      if (rows === undefined) return [name, spec];
      const [all, ...rest] = spec.shape;
      if (all === undefined || rows > all)
        throw new TensorError('TENSOR_BAD_INPUT', `expected at most ${all} rows of ${name}, got ${rows}`);
      return [name, { ...spec, shape: [rows, ...rest] }];
    }),
  );
}

/** @throws TensorError TENSOR_BAD_INPUT when `buffers` are not exactly what `specs` name. */
export function checkInputs(specs: Specs, buffers: Buffers): void {
  for (const [name, spec] of Object.entries(specs)) checkBuffer(name, spec, buffers[name]);
  for (const name of Object.keys(buffers)) {
    if (!specs[name])
      throw new TensorError(
        'TENSOR_BAD_INPUT',
        `expected no input ${name}; the program takes ${Object.keys(specs).join(', ')}`,
      );
  }
}

/** @throws TensorError TENSOR_BAD_INPUT when the state has no such tensor */
export function specOf(state: Specs, name: string): TensorSpec {
  const spec = state[name];
  if (spec) return spec;
  throw new TensorError(
    'TENSOR_BAD_INPUT',
    `expected one of the tensors ${Object.keys(state).join(', ')}, got ${name}`,
  );
}

function checkBuffer(name: string, spec: TensorSpec, buffer?: TypedBuffer) {
  const dtype =
    buffer instanceof Float32Array ? 'float32' : buffer instanceof Int32Array ? 'int32' : undefined;
  if (dtype === spec.dtype && buffer?.length === sizeOf(spec.shape)) return;
  const came = buffer === undefined ? 'nothing' : `${dtype ?? 'another type'} of ${buffer.length}`;
  throw new TensorError(
    'TENSOR_BAD_INPUT',
    `expected ${name} to be ${spec.dtype} of ${sizeOf(spec.shape)} ([${spec.shape.join(', ')}]), got ${came}`,
  );
}
