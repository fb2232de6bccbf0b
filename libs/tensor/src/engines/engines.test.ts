import * as tf from '@tensorflow/tfjs';
import { afterAll, describe, expect, it } from 'vitest';
import type { TensorSpec } from '../engine.js';
import {
  cpuEngine,
  type Engine,
  float32,
  int32,
  onnxEngine,
  onnxPool,
  type Program,
  type Specs,
  sizeOf,
} from '../index.js';

const engines: Engine[] = [cpuEngine(), onnxEngine(), onnxEngine({ threads: 2 }), onnxPool({ workers: 2 })];
afterAll(() => Promise.all(engines.map((engine) => engine.close())));

const [rows, width, hidden, classes] = [8, 5, 16, 7];

/** One whole training step, with Adam, of a small network: state in, state out. */
const trainingStep: Program['run'] = ({ w1, b1, w2, m1, v1 }, { x, labels, correction }) => {
  const loss = (w1: tf.Tensor, b1: tf.Tensor, w2: tf.Tensor) => {
    const hiddenLayer = tf.tanh(tf.add(tf.matMul(x as tf.Tensor2D, w1 as tf.Tensor2D), b1));
    const logprobs = tf.reshape(
      tf.logSoftmax(tf.matMul(hiddenLayer as tf.Tensor2D, w2 as tf.Tensor2D)),
      [-1],
    );
    const places = tf.add(tf.mul(tf.range(0, rows, 1, 'int32'), tf.scalar(classes, 'int32')), labels!);
    return tf.neg(tf.mean(tf.gather(logprobs, places as tf.Tensor1D))) as tf.Scalar;
  };
  const { value, grads } = tf.valueAndGrads(loss)([w1!, b1!, w2!]);
  const m = tf.add(tf.mul(m1!, 0.9), tf.mul(grads[0]!, 0.1));
  const v = tf.add(tf.mul(v1!, 0.999), tf.mul(tf.square(grads[0]!), 0.001));
  const update = tf.div(tf.div(m, correction!), tf.add(tf.sqrt(v), 1e-8));
  return {
    outputs: { loss: value },
    next: {
      w1: tf.sub(w1!, tf.mul(update, 0.01)),
      b1: tf.sub(b1!, tf.mul(grads[1]!, 0.5)),
      w2: tf.sub(w2!, tf.mul(grads[2]!, 0.5)),
      m1: m,
      v1: v,
    },
  };
};
const state: Specs = {
  w1: float32(width, hidden),
  b1: float32(hidden),
  w2: float32(hidden, classes),
  m1: float32(width, hidden),
  v1: float32(width, hidden),
};
const inputs: Specs = {
  x: float32(rows, width),
  labels: int32(rows),
  correction: float32(),
};

const numbers = (name: string, spec: TensorSpec) =>
  Float32Array.from({ length: sizeOf(spec.shape) }, (_, i) => Math.sin(i * 1.7 + name.length));

async function train(engine: Engine, steps: number): Promise<number[]> {
  const space = await engine.open(state);
  await space.add({ step: { inputs, reads: Object.keys(state), run: trainingStep } });
  const { w1, b1, w2 } = state;
  await space.load({ w1: numbers('w1', w1!), b1: numbers('b1', b1!), w2: numbers('w2', w2!) });
  const x = numbers('x', inputs.x!);
  const labels = Int32Array.from({ length: rows }, (_, i) => i % classes);
  const losses: number[] = [];
  for (let step = 1; step <= steps; step++) {
    const correction = Float32Array.of(1 - 0.9 ** step);
    losses.push((await space.run('step', { x, labels, correction })).loss![0]!);
  }
  await space.dispose();
  return losses;
}

const pair = float32(2);

describe('every engine', () => {
  it('trains as the oracle does: 20 losses within 1e-5', async () => {
    const expected = await train(engines[0]!, 20);
    expect(expected.at(-1)).toBeLessThan(expected[0]! / 2);
    for (const engine of engines.slice(1)) {
      const losses = await train(engine, 20);
      losses.forEach((loss, i) => {
        expect(Math.abs(loss / expected[i]! - 1), `${engine.name}, step ${i}`).toBeLessThan(1e-5);
      });
    }
  });

  it.each(engines.map((engine) => [engine.name, engine] as const))(
    '%s refuses rows outside of their tensor, and changes nothing then',
    async (_, engine) => {
      const space = await engine.open({ rows: float32(3, 2), sum: pair });
      await space.add({
        store: {
          inputs: { at: int32(2, 1), updates: float32(2, 2) },
          reads: [],
          run: (_, { at, updates }) => ({
            added: { sum: tf.ones([2]) },
            rows: { rows: { indices: at!, updates: updates! } },
          }),
        },
      });
      const updates = Float32Array.of(1, 2, 3, 4);
      for (const bad of [3, -1])
        await expect(space.run('store', { at: Int32Array.of(0, bad), updates })).rejects.toMatchObject({
          code: 'TENSOR_BAD_OUTPUT',
          message: expect.stringContaining(`${bad} in row 1`),
        });
      const { rows, sum } = await space.read(['rows', 'sum']);
      expect([...rows!, ...sum!]).toEqual([0, 0, 0, 0, 0, 0, 0, 0]);
      await space.dispose();
    },
  );

  it.each(engines.slice(1).map((engine) => [engine.name, engine] as const))(
    '%s goes on after calls that fail while they are computed',
    async (_, engine) => {
      const space = await engine.open({ sum: pair });
      await space.add({
        pick: {
          inputs: { x: pair, at: int32(2) },
          reads: [],
          run: (_, { x, at }) => ({ added: { sum: tf.gather(x!, at as tf.Tensor1D) } }),
        },
      });
      const x = Float32Array.of(1, 2);
      const runs = Array.from({ length: 12 }, (_, k) =>
        space.run('pick', { x, at: Int32Array.of(0, k % 3) }),
      );
      const failed = (await Promise.allSettled(runs)).map(({ status }) => status === 'rejected');
      expect(failed).toEqual(Array.from({ length: 12 }, (_, k) => k % 3 === 2));
      expect([...(await space.read(['sum'])).sum!]).toEqual([8, 12]);
      await space.dispose();
    },
  );
});

describe('a pool', () => {
  it('refuses work once closed, and a worker count below one', async () => {
    const pool = onnxPool({ workers: 1 });
    const space = await pool.open({ x: pair });
    const program: Program = { inputs: {}, reads: ['x'], run: ({ x }) => ({ outputs: { y: x! } }) };
    await space.add({ program });
    await pool.close();
    const closed = { code: 'TENSOR_ENGINE_CLOSED' };
    await expect(space.run('program', {})).rejects.toMatchObject(closed);
    await expect(space.add({ other: program })).rejects.toMatchObject(closed);
    await expect(space.load({ x: new Float32Array(2) })).rejects.toMatchObject(closed);
    await expect(pool.open({})).rejects.toMatchObject(closed);
    await space.dispose();
    expect(() => onnxPool({ workers: 0 })).toThrowError(
      expect.objectContaining({ code: 'TENSOR_BAD_INPUT' }),
    );
  });

  it('has room for results again after every call, also of programs that come later and are larger', async () => {
    const pool = onnxPool({ workers: 2 });
    const space = await pool.open({ sum: float32(4), large: float32(70_000) });
    const adding = (name: string, size: number): Program => ({
      inputs: { x: float32() },
      reads: [],
      run: (_, { x }) => ({ added: { [name]: tf.fill([size], 1).mul(x!) } }),
    });
    const x = Float32Array.of(1);
    await space.add({ small: adding('sum', 4) });
    await Promise.all(Array.from({ length: 10 }, () => space.run('small', { x })));
    await space.add({ large: adding('large', 70_000) });
    await Promise.all(Array.from({ length: 10 }, (_, i) => space.run(i % 2 ? 'small' : 'large', { x })));
    const { sum, large } = await space.read(['sum', 'large']);
    expect([...sum!]).toEqual([15, 15, 15, 15]);
    expect(large!.every((value) => value === 5)).toBe(true);
    await pool.close();
  });
});
