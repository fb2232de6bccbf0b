import * as tf from '@tensorflow/tfjs';
import { describe, expect, it } from 'vitest';
import { compute } from '../compute.test.support.js';
import type { Specs, Tensors } from '../engine.js';
import { float32, onnxEngine } from '../index.js';
import { trace } from './capture.js';

const capture = (program: (inputs: Tensors) => Tensors, inputs: Specs) =>
  trace({ inputs, reads: [], run: (_, given) => ({ outputs: program(given) }) }, {});

describe('capture', () => {
  it('names the op that has no mapping', () => {
    expect(() => capture(({ x }) => ({ y: tf.atanh(x!) }), { x: float32(2) })).toThrowError(
      expect.objectContaining({ code: 'TENSOR_UNSUPPORTED_OP', message: expect.stringContaining('Atanh') }),
    );
  });

  it('refuses a program that reads values', () => {
    expect(() => capture(({ x }) => ({ y: tf.scalar(x!.dataSync()[0]!) }), { x: float32(2) })).toThrowError(
      expect.objectContaining({ code: 'TENSOR_VALUE_DURING_CAPTURE' }),
    );
  });

  it('refuses tensors made outside the program', () => {
    const outside = tf.tensor1d([1, 2]);
    expect(() => capture(({ x }) => ({ y: tf.add(x!, outside) }), { x: float32(2) })).toThrowError(
      expect.objectContaining({ code: 'TENSOR_VALUE_DURING_CAPTURE' }),
    );
  });

  it('keeps the names of a program apart from those of its graph', async () => {
    const names = ['c0', 'c1', 't2', 't3', 'i0', 'i1', 'o0', 'o1'];
    const results = await compute(
      onnxEngine(),
      (inputs) => Object.fromEntries(names.map((name, i) => [name, tf.add(tf.mul(inputs[name]!, 2), i)])),
      Object.fromEntries(names.map((name) => [name, float32(1)])),
      Object.fromEntries(names.map((name, i) => [name, Float32Array.of(10 * i)])),
    );
    expect(names.map((name) => results[name]![0])).toEqual(names.map((_, i) => 21 * i));
  });

  it('leaves no tensor behind and gives tfjs its backend back', async () => {
    await tf.setBackend('cpu');
    const before = tf.memory().numTensors;
    capture(({ x }) => ({ y: tf.tanh(tf.add(x!, 1)) }), { x: float32(2) });
    expect(tf.memory().numTensors).toBe(before);
    expect(tf.getBackend()).toBe('cpu');
  });

  it('passes inputs and constants through as outputs', async () => {
    const result = await compute(
      onnxEngine(),
      ({ x }) => ({ same: x!, one: tf.scalar(1) }),
      { x: float32(2) },
      { x: Float32Array.of(3, 4) },
    );
    expect([...result.same!, ...result.one!]).toEqual([3, 4, 1]);
  });

  it('gives out a value under two names, and one that it goes on with', async () => {
    const result = await compute(
      onnxEngine(),
      ({ x }) => {
        const next = tf.add(x!, 1);
        const [head, tail] = tf.split(next, [1, 2]);
        return { next, same: next, head: head!, doubled: tf.mul(tail!, 2), tail: tail! };
      },
      { x: float32(3) },
      { x: Float32Array.of(1, 2, 3) },
    );
    expect(result).toEqual({
      next: Float32Array.of(2, 3, 4),
      same: Float32Array.of(2, 3, 4),
      head: Float32Array.of(2),
      doubled: Float32Array.of(6, 8),
      tail: Float32Array.of(3, 4),
    });
  });

  it('splits truth values', async () => {
    const result = await compute(
      onnxEngine(),
      ({ x }) => {
        const [head, tail] = tf.split(tf.greater(x!, 0), [1, 2]);
        return { head: tf.cast(head!, 'float32'), tail: tf.cast(tail!, 'float32') };
      },
      { x: float32(3) },
      { x: Float32Array.of(1, -1, 1) },
    );
    expect([...result.head!, ...result.tail!]).toEqual([1, 0, 1]);
  });
});
