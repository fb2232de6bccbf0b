import * as tf from '@tensorflow/tfjs';
import { onBackend } from '../capture/backend.js';
import {
  type Buffers,
  checkInputs,
  checkOutputs,
  type Engine,
  type Executable,
  type Program,
  type Specs,
  type TypedBuffer,
} from '../engine.js';
import { openWorkspace } from '../workspace.js';

/** Runs programs on tfjs's plain JavaScript backend: slow, and the oracle that the other engines are tested against. */
export function cpuEngine(): Engine {
  const compiler: Pick<Engine, 'compile'> = {
    compile: async (program, inputs) => {
      const zeros = Object.fromEntries(
        Object.entries(inputs).map(([name, spec]) => [
          name,
          tf.util.makeZerosTypedArray(tf.util.sizeFromShape([...spec.shape]), spec.dtype) as TypedBuffer,
        ]),
      );
      const outputs: Specs = Object.fromEntries(
        Object.entries(evaluate(program, inputs, zeros)).map(([name, result]) => [
          name,
          { shape: result.shape, dtype: result.dtype },
        ]),
      );
      const executable: Executable = {
        inputs,
        outputs,
        run: async (buffers, into = {}) => {
          checkInputs(inputs, buffers);
          checkOutputs(outputs, into);
          const results = evaluate(program, inputs, buffers);
          return Object.fromEntries(
            Object.entries(results).map(([name, { data }]) => {
              into[name]?.set(data);
              return [name, into[name] ?? data];
            }),
          );
        },
        dispose: async () => {},
      };
      return executable;
    },
  };
  return {
    ...compiler,
    name: 'cpu',
    fidelity: 'bits',
    open: async (state, options) => openWorkspace(compiler, state, options),
    close: async () => {},
  };
}

function evaluate(program: Program, specs: Specs, buffers: Buffers) {
  return onBackend('cpu', () => {
    const results: Record<string, { data: TypedBuffer; shape: number[]; dtype: 'float32' | 'int32' }> = {};
    tf.tidy(() => {
      const tensors = Object.fromEntries(
        Object.entries(specs).map(([name, { shape, dtype }]) => [
          name,
          tf.tensor(buffers[name]!.slice(), [...shape], dtype),
        ]),
      );
      for (const [name, tensor] of Object.entries(program(tensors))) {
        const dtype = tensor.dtype as 'float32' | 'int32';
        // A cast from bool keeps tfjs's bytes: the copy makes them what the dtype says.
        const data =
          dtype === 'int32' ? Int32Array.from(tensor.dataSync()) : Float32Array.from(tensor.dataSync());
        results[name] = { data, shape: [...tensor.shape], dtype };
      }
    });
    return results;
  });
}
