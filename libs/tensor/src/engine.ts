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

/**
 * A pure function over tfjs tensors, made of tfjs ops alone: gradients through `tf.grads` and `tf.valueAndGrads`
 * are allowed; reading values (`dataSync`), randomness and branching on values are not.
 */
export type Program = (inputs: Record<string, Tensor>) => Record<string, Tensor>;

/** A program compiled for fixed shapes. */
export interface Executable {
  readonly inputs: Specs;
  readonly outputs: Specs;
  /**
   * Runs the program on row-major buffers the caller owns. An output named in `into` is written to the given
   * buffer, which must not be one of the inputs; the others come in new buffers.
   * @throws TensorError TENSOR_BAD_INPUT, TENSOR_BAD_OUTPUT when a buffer is missing or does not fit.
   */
  run(inputs: Buffers, into?: Buffers): Promise<Buffers>;
  dispose(): Promise<void>;
}

export interface Engine {
  readonly name: string;
  compile(program: Program, inputs: Specs): Promise<Executable>;
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

/** @throws TensorError TENSOR_BAD_INPUT when `buffers` are not exactly what `specs` name. */
export function checkInputs(specs: Specs, buffers: Buffers): void {
  for (const [name, spec] of Object.entries(specs))
    checkBuffer('TENSOR_BAD_INPUT', name, spec, buffers[name]);
  for (const name of Object.keys(buffers)) {
    if (!specs[name])
      throw new TensorError(
        'TENSOR_BAD_INPUT',
        `expected no input ${name}; the program takes ${Object.keys(specs).join(', ')}`,
      );
  }
}

/** @throws TensorError TENSOR_BAD_OUTPUT when a buffer of `into` does not fit its output. */
export function checkOutputs(specs: Specs, into: Buffers): void {
  for (const [name, buffer] of Object.entries(into)) {
    const spec = specs[name];
    if (!spec)
      throw new TensorError(
        'TENSOR_BAD_OUTPUT',
        `the program has no output ${name}, only ${Object.keys(specs).join(', ')}`,
      );
    checkBuffer('TENSOR_BAD_OUTPUT', name, spec, buffer);
  }
}

function checkBuffer(
  code: 'TENSOR_BAD_INPUT' | 'TENSOR_BAD_OUTPUT',
  name: string,
  spec: TensorSpec,
  buffer?: TypedBuffer,
) {
  const dtype =
    buffer instanceof Float32Array ? 'float32' : buffer instanceof Int32Array ? 'int32' : undefined;
  if (dtype === spec.dtype && buffer?.length === sizeOf(spec.shape)) return;
  const came = buffer === undefined ? 'nothing' : `${dtype ?? 'another type'} of ${buffer.length}`;
  throw new TensorError(
    code,
    `expected ${name} to be ${spec.dtype} of ${sizeOf(spec.shape)} ([${spec.shape.join(', ')}]), got ${came}`,
  );
}
