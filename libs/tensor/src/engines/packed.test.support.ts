/** A program with matrices of every kind of use, over tensors that lie in a file. */
import * as tf from '@tensorflow/tfjs';
import { type Frozen, float32, int32, type Program } from '../engine.js';
import { onnxEngine } from './onnx.js';

export const [D, F, V] = [256, 4096, 8192] as const;
/** A matrix that is looked up and multiplied by, one that is transposed, one that has a sum behind it, one for no product. */
export const state = {
  table: float32(V, D),
  wide: float32(D, F),
  back: float32(D, F),
  bias: float32(F),
  scale: float32(D),
};
export const program = (rows: number): Program => ({
  inputs: { ids: int32(rows) },
  reads: Object.keys(state),
  constants: Object.keys(state),
  run: ({ table, wide, back, bias, scale }, { ids }) => {
    const x = tf.mul(tf.gather(table as tf.Tensor2D, ids as tf.Tensor1D), scale!);
    const inner = tf.add(tf.matMul(x, wide as tf.Tensor2D), bias!);
    const y = tf.matMul(inner as tf.Tensor2D, back as tf.Tensor2D, false, true);
    return { outputs: { y: tf.matMul(y, table as tf.Tensor2D, false, true) } };
  },
});

/** The program for four numbers of rows, in a workspace. */
export const opened = async (frozen: Frozen) => {
  const workspace = await onnxEngine().open(state, { frozen });
  await workspace.add(Object.fromEntries([1, 2, 9, 32].map((rows) => [`${rows}`, program(rows)])));
  const run = async (rows: number) => {
    const { y } = await workspace.run(`${rows}`, { ids: Int32Array.from({ length: rows }, (_, i) => 7 * i) });
    return y as Float32Array;
  };
  return { run, dispose: workspace.dispose };
};
