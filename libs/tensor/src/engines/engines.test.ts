import * as tf from '@tensorflow/tfjs';
import { afterAll, describe, expect, it } from 'vitest';
import {
  allocate,
  type Buffers,
  cpuEngine,
  type Engine,
  float32,
  int32,
  onnxEngine,
  onnxPool,
  type Program,
  type Specs,
} from '../index.js';

const engines: Engine[] = [cpuEngine(), onnxEngine(), onnxEngine({ threads: 2 }), onnxPool({ workers: 2 })];
afterAll(() => Promise.all(engines.map((engine) => engine.close())));

const [rows, width, hidden, classes] = [8, 5, 16, 7];

/** One whole training step, with Adam, of a small network: state in, state out. */
const trainingStep: Program = ({ w1, b1, w2, m1, v1, x, labels, correction }) => {
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
    loss: value,
    w1_next: tf.sub(w1!, tf.mul(update, 0.01)),
    b1_next: tf.sub(b1!, tf.mul(grads[1]!, 0.5)),
    w2_next: tf.sub(w2!, tf.mul(grads[2]!, 0.5)),
    m1_next: m,
    v1_next: v,
  };
};
const specs: Specs = {
  w1: float32(width, hidden),
  b1: float32(hidden),
  w2: float32(hidden, classes),
  m1: float32(width, hidden),
  v1: float32(width, hidden),
  x: float32(rows, width),
  labels: int32(rows),
  correction: float32(),
};

async function train(engine: Engine, steps: number): Promise<number[]> {
  const program = await engine.compile(trainingStep, specs);
  const state: Record<string, Buffers[string]> = {};
  for (const [name, spec] of Object.entries(specs))
    state[name] = allocate(spec).map((_, i) => Math.sin(i * 1.7 + name.length));
  state.m1!.fill(0);
  state.v1!.fill(0);
  state.labels = Int32Array.from({ length: rows }, (_, i) => i % classes);
  const losses: number[] = [];
  for (let step = 1; step <= steps; step++) {
    state.correction = Float32Array.of(1 - 0.9 ** step);
    const { loss, ...next } = await program.run(state);
    losses.push(loss![0]!);
    for (const [name, buffer] of Object.entries(next)) state[name.replace('_next', '')] = buffer;
  }
  await program.dispose();
  return losses;
}

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
    '%s writes into the buffers it is given, shared or not',
    async (_, engine) => {
      const program = await engine.compile(({ x }) => ({ double: tf.mul(x!, 2), half: tf.div(x!, 2) }), {
        x: float32(3),
      });
      for (const shared of [true, false]) {
        const x = allocate(float32(3), { shared });
        x.set([1, 2, 3]);
        const flat = allocate(float32(5), { shared });
        const double = flat.subarray(1, 4);
        const result = await program.run({ x }, { double });
        expect(result.double).toBe(double);
        expect([...flat]).toEqual([0, 2, 4, 6, 0]);
        expect([...result.half!]).toEqual([0.5, 1, 1.5]);
      }
    },
  );

  it.each(engines.map((engine) => [engine.name, engine] as const))(
    '%s refuses buffers that do not fit',
    async (_, engine) => {
      const program = await engine.compile(({ x }) => ({ y: tf.neg(x!) }), { x: float32(3) });
      const bad: [Buffers, Buffers, string][] = [
        [{}, {}, 'TENSOR_BAD_INPUT'],
        [{ x: new Float32Array(2) }, {}, 'TENSOR_BAD_INPUT'],
        [{ x: new Int32Array(3) }, {}, 'TENSOR_BAD_INPUT'],
        [{ x: new Float32Array(3), z: new Float32Array(1) }, {}, 'TENSOR_BAD_INPUT'],
        [{ x: new Float32Array(3) }, { y: new Float32Array(4) }, 'TENSOR_BAD_OUTPUT'],
        [{ x: new Float32Array(3) }, { z: new Float32Array(3) }, 'TENSOR_BAD_OUTPUT'],
      ];
      for (const [inputs, into, code] of bad)
        await expect(program.run(inputs, into)).rejects.toMatchObject({ code });
    },
  );
});

describe('runs under way together', () => {
  it.each(engines.map((engine) => [engine.name, engine] as const))(
    '%s keeps them apart',
    async (_, engine) => {
      const program = await engine.compile(({ x }) => ({ y: tf.add(x!, 1) }), { x: float32(1) });
      const results = await Promise.all(
        [1, 10, 100].map((value) => {
          const x = allocate(float32(1), { shared: true });
          x.fill(value);
          return program.run({ x });
        }),
      );
      expect(results.map(({ y }) => y![0])).toEqual([2, 11, 101]);
    },
  );
});

describe('a pool', () => {
  it('gives the same bits on 1, 2 and 3 workers, whatever runs where', async () => {
    const inputs = Array.from({ length: 7 }, (_, k) =>
      Float32Array.from({ length: 64 }, (_, i) => Math.sin(i * (k + 1))),
    );
    const results = await Promise.all(
      [1, 2, 3].map(async (workers) => {
        const pool = onnxPool({ workers });
        const program = await pool.compile(
          ({ x }) => ({ y: tf.softmax(tf.matMul(x as tf.Tensor2D, x as tf.Tensor2D, true)) }),
          { x: float32(8, 8) },
        );
        const outputs = await Promise.all(inputs.map((x) => program.run({ x })));
        await pool.close();
        return outputs.map(({ y }) => Buffer.from(y!.buffer).toString('hex'));
      }),
    );
    expect(results[1]).toEqual(results[0]);
    expect(results[2]).toEqual(results[0]);
  });

  it('refuses work once closed, and a worker count below one', async () => {
    const pool = onnxPool({ workers: 1 });
    const program = await pool.compile(({ x }) => ({ y: tf.neg(x!) }), { x: float32(1) });
    await pool.close();
    await expect(program.run({ x: new Float32Array(1) })).rejects.toMatchObject({
      code: 'TENSOR_ENGINE_CLOSED',
    });
    expect(() => onnxPool({ workers: 0 })).toThrowError(
      expect.objectContaining({ code: 'TENSOR_BAD_INPUT' }),
    );
  });
});
