import * as tf from '@tensorflow/tfjs';
import { afterAll, describe, expect, it } from 'vitest';
import { cpuEngine, float32, int32, onnxEngine, onnxPool, type StatefulProgram } from '../index.js';

const pool = onnxPool({ workers: 2 });
afterAll(() => pool.close());

const state = { w: float32(2), sum: float32(2), cache: float32(3, 2, 2) };
const accumulate: StatefulProgram = {
  inputs: { x: float32(2) },
  reads: ['w'],
  run: ({ w }, { x }) => ({ outputs: { y: tf.sum(tf.mul(w!, x!)) }, added: { sum: tf.mul(w!, x!) } }),
};
const step: StatefulProgram = {
  inputs: {},
  reads: ['w', 'sum'],
  run: ({ w, sum }) => ({ next: { w: tf.add(w!, sum!), sum: tf.zerosLike(sum!) } }),
};
const store: StatefulProgram = {
  inputs: { at: int32(2, 2), rows: float32(2, 2) },
  reads: ['cache'],
  run: ({ cache }, { at, rows }) => ({
    outputs: { before: tf.sum(cache!) },
    rows: { cache: { indices: at!, updates: rows! } },
  }),
};

describe.each([cpuEngine(), onnxEngine(), pool])('a workspace of $name', (engine) => {
  it('shows every call the effects of those before it, however many are under way', async () => {
    const space = await engine.open(state);
    await space.add({ accumulate, step });
    await space.load({ w: Float32Array.of(1, 2) });
    const runs = [
      space.run('accumulate', { x: Float32Array.of(1, 1) }),
      space.run('accumulate', { x: Float32Array.of(2, 3) }),
      space.run('step', {}),
      space.run('accumulate', { x: Float32Array.of(1, 0) }),
    ];
    const outputs = await Promise.all(runs);
    expect(outputs.map(({ y }) => y?.[0])).toEqual([3, 8, undefined, 4]);
    const { w, sum } = await space.read(['w', 'sum']);
    expect([...w!, ...sum!]).toEqual([4, 10, 4, 0]);
    await space.dispose();
  });

  it('writes rows where they lie', async () => {
    const space = await engine.open(state);
    await space.add({ store });
    const feeds = { at: Int32Array.of(0, 1, 2, 0), rows: Float32Array.of(1, 2, 3, 4) };
    expect((await space.run('store', feeds)).before![0]).toBe(0);
    expect((await space.run('store', feeds)).before![0]).toBe(10);
    const { cache } = await space.read(['cache']);
    expect([...cache!]).toEqual([0, 0, 1, 2, 0, 0, 0, 0, 3, 4, 0, 0]);
    await space.dispose();
  });

  it('changes nothing by a call that fails', async () => {
    const space = await engine.open(state);
    await space.add({ accumulate });
    await expect(space.run('accumulate', { x: Float32Array.of(1) })).rejects.toThrow(
      expect.objectContaining({ code: 'TENSOR_BAD_INPUT' }),
    );
    await expect(space.run('other', {})).rejects.toThrow(
      expect.objectContaining({ code: 'TENSOR_UNKNOWN_PROGRAM' }),
    );
    expect([...(await space.read(['sum'])).sum!]).toEqual([0, 0]);
    await space.dispose();
  });
});
