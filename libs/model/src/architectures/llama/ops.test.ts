import { type Buffers, cpuEngine, float32, onnxEngine, type Specs, type Tensors } from '@rlhf-streams/tensor';
import * as tf from '@tensorflow/tfjs';
import { describe, expect, it } from 'vitest';
import { gated, rmsNorm } from './ops.js';
import { rotate, rotations, rotationsAt } from './rope.js';

const close = (came: ArrayLike<number>, expected: ArrayLike<number>, tolerance: number) => {
  expect(came.length).toBe(expected.length);
  for (let i = 0; i < expected.length; i++)
    expect(Math.abs(came[i]! - expected[i]!), `[${i}]: ${came[i]} for ${expected[i]}`).toBeLessThan(
      tolerance,
    );
};

const x = float32(6, 8);
const wave = (size: number, k: number) =>
  Float32Array.from({ length: size }, (_, i) => 3 * Math.sin(i * 1.7 + k));
const row = (k: number) => Float32Array.from({ length: 8 }, (_, i) => Math.cos(i + k));

/** Some function of y that tells its numbers apart. */
const weigh = (y: tf.Tensor) => tf.mul(y, tf.reshape(tf.range(0, 48, 1), [6, 8]));

describe.each([cpuEngine(), onnxEngine()])('operators with closed-form gradients on $name', (engine) => {
  const computed = async (inputs: Specs, feeds: Buffers, program: (t: Tensors) => Tensors) => {
    const workspace = await engine.open({});
    await workspace.add({ program: { inputs, reads: [], run: (_, t) => ({ outputs: program(t) }) } });
    return workspace.run('program', feeds);
  };
  type Binary = (a: tf.Tensor, b: tf.Tensor) => tf.Tensor;
  /** Values, gradients, and the derivative of these along what they are linear in: what a Fisher product takes. */
  const expectSame = async (specs: Specs, feeds: Buffers, ours: Binary, theirs: Binary) => {
    const result = await computed({ ...specs, u: x }, { ...feeds, u: wave(48, 5) }, ({ u, ...given }) => {
      const [a, b] = Object.values(given) as [tf.Tensor, tf.Tensor];
      const all = [ours, theirs].map((op) => {
        const pulledBack = (dy: tf.Tensor) => tf.grads(op)([a, b], dy);
        const pushed = tf.grad((dy) => tf.sum(tf.mul(pulledBack(dy)[0]!, a)))(u!);
        return [op(a, b), ...tf.grads((a, b) => weigh(op(a, b)))([a, b]), pushed];
      });
      return Object.fromEntries(
        all.flatMap((of, i) => of.map((tensor, j) => [`${['ours', 'theirs'][i]}${j}`, tensor])),
      );
    });
    for (const i of [0, 1, 2, 3]) close(result[`ours${i}`]!, result[`theirs${i}`]!, 1e-3);
  };

  it('RMS norm has the gradient of its composition', () =>
    expectSame(
      { x, weight: float32(8) },
      { x: wave(48, 0), weight: row(0) },
      (x, weight) => rmsNorm(x, weight, 1e-5),
      (x, weight) => tf.mul(tf.div(x, tf.sqrt(tf.add(tf.mean(tf.square(x), -1, true), 1e-5))), weight),
    ));

  it('a gated unit has the gradient of its composition', () =>
    expectSame({ gate: x, up: x }, { gate: wave(48, 0), up: wave(48, 2) }, gated, (gate, up) =>
      tf.mul(tf.mul(gate, tf.sigmoid(gate)), up),
    ));

  it('every head of a row is turned by the angles of its position, and its gradient turned back', async () => {
    // Two rows of three positions, with two heads of width 4.
    const rope = { type: 'default', theta: 100 } as const;
    const angles = [1, 0.1];
    const turned = (x: Float32Array, positions: readonly number[], direction = 1) =>
      x.map((_, i) => {
        const [n, inHead] = [Math.floor(i / 8), i % 4];
        const angle = direction * positions[n]! * angles[inHead % 2]!;
        const other = inHead < 2 ? -x[i + 2]! : x[i - 2]!;
        return x[i]! * Math.cos(angle) + other * Math.sin(angle);
      });
    const values = wave(48, 1);
    const at = [5, 0, 2, 2, 7, 1];
    const { inTurn, back, picked } = await computed({ x }, { x: values }, ({ x }) => ({
      inTurn: rotate(x!, rotations(rope, 4, 3)),
      back: tf.grad((x) => rotate(x, rotations(rope, 4, 3)))(x!, x!),
      picked: rotate(x!, rotationsAt(rotations(rope, 4, 8), tf.tensor1d(at, 'int32'))),
    }));
    close(inTurn!, turned(values, [0, 1, 2, 0, 1, 2]), 1e-5);
    close(back!, turned(values, [0, 1, 2, 0, 1, 2], -1), 1e-5);
    close(picked!, turned(values, at), 1e-5);
  });
});
