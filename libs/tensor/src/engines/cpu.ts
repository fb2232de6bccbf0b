import * as tf from '@tensorflow/tfjs';
import { onBackend } from '../capture/recording.js';
import {
  allocate,
  type Buffers,
  type Engine,
  type Frozen,
  type Program,
  readSpecs,
  type Specs,
  sizeOf,
  type TensorSpec,
  type TypedBuffer,
} from '../engine.js';
import { plainLoops } from '../loops/loops.js';
import { applyEffects, type Computed, listEffects, outputsOf, writtenBy } from '../workspace/effects.js';
import { hostTensor } from '../workspace/host-tensor.js';
import { openWorkspace } from '../workspace/workspace.js';
import { createFrozenStore } from './frozen.js';

/**
 * Runs programs on tfjs's plain JavaScript backend, over arrays of its own: slow, and the oracle that the other engines
 * are tested against. Every kernel is its composition.
 */
export function cpuEngine(): Engine {
  const store = createFrozenStore((buffer) => buffer);
  const open = (state: Specs, { frozen }: { readonly frozen?: Frozen } = {}) => {
    const kept = frozen ? store.use(state, frozen) : {};
    const tensors = Object.fromEntries(
      Object.entries(state).map(([name, spec]) => [
        name,
        hostTensor(name, spec, { view: kept[name] ?? allocate(spec) }, { adopts: true }),
      ]),
    );
    const frozenNames = new Set(Object.keys(kept));
    return openWorkspace({
      tensors,
      frozen: frozenNames,
      prepare(program) {
        const zeros = (specs: Specs) =>
          Object.fromEntries(Object.entries(specs).map(([name, spec]) => [name, allocate(spec)]));
        const read = readSpecs(program, state);
        // A run on zeros tells which effects the program has: they do not depend on values.
        const effects = evaluate(program, state, frozenNames, zeros(read), zeros(program.inputs));
        return {
          reads: program.reads,
          writes: writtenBy(effects),
          effects,
          async compute(feeds, begun) {
            begun();
            const values = Object.fromEntries(
              program.reads.map((name) => [name, tensors[name]!.read().view]),
            );
            const computed = evaluate(program, state, frozenNames, values, feeds);
            return () => {
              applyEffects(computed, tensors, plainLoops);
              return outputsOf(computed);
            };
          },
        };
      },
      dispose: async () => {
        if (frozen) store.leave(frozen);
      },
    });
  };
  return {
    name: 'cpu',
    fidelity: 'bits',
    place: 'host',
    open: async (state, options) => open(state, options),
    close: async () => {},
  };
}

function evaluate(
  { reads, first, inputs, run }: Program,
  state: Specs,
  frozen: ReadonlySet<string>,
  values: Buffers,
  feeds: Buffers,
): Computed[] {
  return onBackend('cpu', () => {
    let computed: Computed[] = [];
    tf.tidy(() => {
      const stateTensors = Object.fromEntries(
        Object.entries(readSpecs({ reads, ...(first && { first }) }, state)).map(([name, spec]) => [
          name,
          tensorOf(spec, values[name]!.subarray(0, sizeOf(spec.shape))),
        ]),
      );
      const inputTensors = Object.fromEntries(
        Object.entries(inputs).map(([name, spec]) => [name, tensorOf(spec, feeds[name]!)]),
      );
      computed = listEffects(run(stateTensors, inputTensors), state, frozen).map(({ tensor, ...effect }) => ({
        ...effect,
        span: { view: numbersOf(tensor, effect.spec) },
      }));
    });
    return computed;
  });
}

const tensorOf = ({ shape, dtype }: TensorSpec, buffer: TypedBuffer): tf.Tensor =>
  tf.tensor(buffer.slice(), [...shape], dtype);

/** A cast from bool keeps tfjs's bytes: the copy makes them what the dtype says. */
function numbersOf(tensor: tf.Tensor, spec: TensorSpec): TypedBuffer {
  const numbers = tensor.dataSync();
  const buffer =
    spec.dtype === 'int32' ? new Int32Array(sizeOf(spec.shape)) : new Float32Array(sizeOf(spec.shape));
  buffer.set(numbers);
  return buffer;
}
