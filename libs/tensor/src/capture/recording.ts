/** What captures have in common, whatever kind of graph they record to. */
import * as tf from '@tensorflow/tfjs';
import { type Program, readSpecs, type Specs, type TensorSpec } from '../engine.js';
import { TensorError } from '../errors.js';
import { type Effect, listEffects } from '../workspace/effects.js';

/** Types that tensors of a program may have. */
export type RecordedType = 'float32' | 'int32' | 'bool';

/** A value of a graph. */
export interface Shaped {
  readonly shape: readonly number[];
}

/** tfjs's view of a recorded value: a tensor whose data is a value of the graph. */
export interface Recorded<Value> extends tf.TensorInfo {
  readonly dataId: { readonly value: Value };
}

export const recorded = <Value extends Shaped>(value: Value, dtype: tf.DataType): Recorded<Value> => ({
  dataId: { value },
  shape: [...value.shape],
  dtype,
});

/** The graph value behind a tensor of the program being captured. */
export function recordedValue<Value>(tensor: tf.TensorInfo): Value {
  const { value } = (tensor as Recorded<Value>).dataId;
  if (value) return value;
  throw new TensorError(
    'TENSOR_VALUE_DURING_CAPTURE',
    'a tensor made outside the program was used in it: pass it as an input, or make it inside the program',
  );
}

/** A value of the graph as a tensor of the program. */
export const asTensor = <Value extends Shaped>(value: Value, dtype: tf.DataType): tf.Tensor =>
  tf.engine().makeTensorFromTensorInfo(recorded(value, dtype));

export function recordedType(dtype: string): RecordedType {
  if (dtype === 'float32' || dtype === 'int32' || dtype === 'bool') return dtype;
  throw new TensorError('TENSOR_UNSUPPORTED_DTYPE', `expected float32, int32 or bool, got ${dtype}`);
}

/**
 * A tfjs backend that computes nothing: its kernels append nodes to the graph of the capture under way.
 * tfjs itself runs the program, so that autodiff, broadcasting rules and composite ops are tfjs's own.
 */
export abstract class RecordingBackend<Value> extends tf.KernelBackend {
  protected abstract constant(type: RecordedType, shape: readonly number[], data: ArrayBufferView): Value;

  override write(values: tf.backend_util.BackendValues, shape: number[], dtype: tf.DataType) {
    const type = recordedType(dtype);
    const numbers = values as unknown as ArrayLike<number>;
    const data =
      type === 'bool'
        ? Uint8Array.from(numbers)
        : type === 'int32'
          ? Int32Array.from(numbers)
          : Float32Array.from(numbers);
    return { value: this.constant(type, shape, data) };
  }

  override read(): never {
    return this.readSync();
  }

  override readSync(): never {
    throw new TensorError(
      'TENSOR_VALUE_DURING_CAPTURE',
      'a program must not read values (data, array, print) or branch on them: it is recorded, not computed',
    );
  }

  override disposeData() {
    return true;
  }
  override incRef() {}
  decRef() {}
  override refCount() {
    return 1;
  }
  override numDataIds() {
    return 0;
  }
  override memory() {
    return { unreliable: true };
  }
  override floatPrecision(): 32 {
    return 32;
  }
  override epsilon() {
    return 1e-7;
  }
  override timerAvailable() {
    return false;
  }
}

/** What a mapping gets from tfjs: named input tensors and the kernel's attributes. */
export interface KernelCall {
  readonly inputs: Readonly<Record<string, tf.TensorInfo>>;
  // biome-ignore lint/suspicious/noExplicitAny: tfjs types attributes per kernel, and not all of them
  readonly attrs: Readonly<Record<string, any>>;
}

export type Mapping = (call: KernelCall) => tf.TensorInfo | tf.TensorInfo[];

/** Registers how a tfjs kernel is recorded by a backend. */
export const mapKernelOf =
  (backendName: string) =>
  (kernelName: string, mapping: Mapping): void =>
    tf.registerKernel({
      kernelName,
      backendName,
      kernelFunc: ({ inputs, attrs }) =>
        mapping({ inputs: inputs as KernelCall['inputs'], attrs: attrs ?? {} }),
    });

export const broadcast = (a: tf.TensorInfo, b: tf.TensorInfo): number[] =>
  tf.backend_util.assertAndGetBroadcastShape(a.shape, b.shape);

/** A negative axis counts from the end. */
export const axisOf = (axis: number, rank: number): number => (axis < 0 ? axis + rank : axis);

/**
 * Runs a program on values of a graph: what it does to the state, with the values of that.
 * @param makeValue makes the value of a tensor of the state, or of an input
 * @throws TensorError TENSOR_UNSUPPORTED_OP naming the op that has no mapping; TENSOR_VALUE_DURING_CAPTURE when
 *   the program reads a value; TENSOR_UNSUPPORTED_DTYPE, TENSOR_BAD_OUTPUT when an effect is none the state can have.
 */
export function recordProgram<Value extends Shaped>(
  { inputs, reads, first, run }: Pick<Program, 'inputs' | 'reads' | 'first' | 'run'>,
  state: Specs,
  frozen: ReadonlySet<string>,
  makeValue: (kind: 'state' | 'inputs', name: string, spec: TensorSpec) => Value,
): (Effect & { readonly value: Value })[] {
  return scoped(() => {
    const tensor = (kind: 'state' | 'inputs', name: string, spec: TensorSpec) =>
      [name, asTensor(makeValue(kind, name, spec), spec.dtype)] as const;
    const given = readSpecs({ reads, ...(first && { first }) }, state);
    const stateTensors = Object.fromEntries(reads.map((name) => tensor('state', name, given[name]!)));
    const inputTensors = Object.fromEntries(
      Object.entries(inputs).map(([name, spec]) => tensor('inputs', name, spec)),
    );
    const effects = namingMissingOps(() => run(stateTensors, inputTensors));
    return listEffects(effects, state, frozen).map(({ tensor, ...effect }) => ({
      ...effect,
      value: recordedValue<Value>(tensor),
    }));
  });
}

/** Runs `work` and disposes of every tensor that it made. */
function scoped<T>(work: () => T): T {
  let result: T;
  tf.tidy(() => {
    result = work();
  });
  return result!;
}

function namingMissingOps<T>(work: () => T): T {
  try {
    return work();
  } catch (cause) {
    const missing = /Kernel '(\w+)' not registered for backend '([\w-]+)'/.exec(
      cause instanceof Error ? cause.message : '',
    );
    if (!missing) throw cause;
    throw new TensorError(
      'TENSOR_UNSUPPORTED_OP',
      `the op ${missing[1]} has no mapping in ${missing[2]}: add one in libs/tensor/src`,
      { cause },
    );
  }
}

/** Runs synchronous `work` on a registered tfjs backend and returns to the one in use before. */
export function onBackend<T>(name: string, work: () => T): T {
  tf.backend(); // before its first use tfjs has no backend to return to
  const before = tf.getBackend();
  if (before === name) return work();
  activate(name);
  try {
    return work();
  } finally {
    activate(before);
  }
}

function activate(name: string): void {
  // All backends initialise synchronously: the promise is settled and tfjs has switched when this returns.
  void tf.setBackend(name);
  if (tf.getBackend() !== name) throw new Error(`tfjs did not switch to backend ${name}`);
}
