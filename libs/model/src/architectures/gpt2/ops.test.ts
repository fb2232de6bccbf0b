import { type Buffers, cpuEngine, float32, onnxEngine, type Specs, type Tensors } from '@rlhf-streams/tensor';
import * as tf from '@tensorflow/tfjs';
import { describe, expect, it } from 'vitest';
import { gelu, layerNorm } from './ops.js';

const close = (came: ArrayLike<number>, expected: ArrayLike<number>, tolerance: number) => {
  expect(came.length).toBe(expected.length);
  for (let i = 0; i < expected.length; i++) {
    expect(Math.abs(came[i]! - expected[i]!), `[${i}]: ${came[i]} for ${expected[i]}`).toBeLessThan(
      tolerance,
    );
  }
};

describe.each([cpuEngine(), onnxEngine()])('operators with closed-form gradients on $name', (engine) => {
  const x = float32(3, 8);
  const values = Float32Array.from({ length: 24 }, (_, i) => 3 * Math.sin(i * 1.7));
  const row = (k: number) => Float32Array.from({ length: 8 }, (_, i) => Math.cos(i + k));

  const computed = async (inputs: Specs, feeds: Buffers, program: (t: Tensors) => Tensors) => {
    const workspace = await engine.open({});
    await workspace.add({ program: { inputs, reads: [], run: (_, t) => ({ outputs: program(t) }) } });
    return workspace.run('program', feeds);
  };

  it('gelu is the tanh form, and so is its gradient', async () => {
    const tanhForm = (x: tf.Tensor) =>
      tf.mul(
        tf.mul(x, 0.5),
        tf.add(1, tf.tanh(tf.mul(Math.sqrt(2 / Math.PI), tf.add(x, tf.mul(0.044715, tf.pow(x, 3)))))),
      );
    const { y, expected, dy, dexpected } = await computed({ x }, { x: values }, ({ x }) => ({
      y: gelu(x!),
      expected: tanhForm(x!),
      dy: tf.grad(gelu)(x!),
      dexpected: tf.grad(tanhForm)(x!),
    }));
    close(y!, expected!, 1e-6);
    close(dy!, dexpected!, 1e-5);
  });

  it('layer norm has the gradient of its composition', async () => {
    const composed = (x: tf.Tensor, weight: tf.Tensor, bias: tf.Tensor) => {
      const { mean, variance } = tf.moments(x, -1, true);
      return tf.add(tf.mul(tf.div(tf.sub(x, mean), tf.sqrt(tf.add(variance, 1e-5))), weight), bias);
    };
    const weigh = (y: tf.Tensor) => tf.mul(y, tf.reshape(tf.range(0, 24, 1), [3, 8]));
    const specs = { x, w: float32(8), b: float32(8) };
    const result = await computed(specs, { x: values, w: row(0), b: row(5) }, ({ x, w, b }) => {
      const ours = tf.grads((x, w, b) => weigh(layerNorm(x, w, b, 1e-5)))([x!, w!, b!]);
      const theirs = tf.grads((x, w, b) => weigh(composed(x, w, b)))([x!, w!, b!]);
      return Object.fromEntries([
        ...ours.map((g, i) => [`ours${i}`, g]),
        ...theirs.map((g, i) => [`theirs${i}`, g]),
      ]);
    });
    for (const i of [0, 1, 2]) close(result[`ours${i}`]!, result[`theirs${i}`]!, 2e-4);
  });
});
