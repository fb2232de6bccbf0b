import * as tf from '@tensorflow/tfjs';
import { expect, it } from 'vitest';
import { type Engine, float32, type Program, sizeOf } from '../engine.js';
import { adamWKernel } from '../kernels/adamw.js';
import { sumOfSquares } from '../kernels/sum-of-squares.js';
import { floats, wave } from './harness.js';

const [width, rows] = [160, 5];
const weights = { w1: float32(width, 3 * width), w2: float32(3 * width, width), b: float32(width) };
const names = Object.keys(weights);
const state = Object.fromEntries(
  Object.entries(weights).flatMap(([name, spec]) =>
    ['p', 'g', 'm', 'v'].map((kind) => [`${kind}.${name}`, spec]),
  ),
);

/** Moves against the sign of the gradient: enough for an engine without loops of its own. */
const adamW = adamWKernel(({ p, g, m, v }, { lr, gradScale }) => ({
  p: tf.sub(p, tf.mul(lr, tf.sign(tf.mul(g, gradScale)))),
  m: tf.add(m, g),
  v: tf.add(v, tf.square(g)),
}));

const gradient: Program = {
  inputs: { x: float32(rows, width) },
  reads: names.map((name) => `p.${name}`),
  run: (tensors, { x }) => {
    const loss = (w1: tf.Tensor, w2: tf.Tensor, b: tf.Tensor) => {
      const hidden = tf.tanh(tf.matMul(x as tf.Tensor2D, w1 as tf.Tensor2D));
      const y = tf.add(tf.matMul(hidden as tf.Tensor2D, w2 as tf.Tensor2D), b);
      return tf.mean(tf.square(tf.sub(y, x!))) as tf.Scalar;
    };
    const { value, grads } = tf.valueAndGrads(loss)(names.map((name) => tensors[`p.${name}`]!));
    return {
      outputs: { loss: value },
      added: Object.fromEntries(names.map((name, i) => [`g.${name}`, grads[i]!])),
    };
  },
};
const norm: Program = {
  inputs: {},
  reads: names.map((name) => `g.${name}`),
  run: (tensors) => ({ outputs: { squares: sumOfSquares(Object.values(tensors)) } }),
};
const apply: Program = {
  inputs: { lr: float32(), gradScale: float32(), biasCorrection1: float32(), biasCorrection2: float32() },
  reads: Object.keys(state),
  run: (tensors, scalars) => {
    const [lr, gradScale, biasCorrection1, biasCorrection2] = [
      scalars.lr,
      scalars.gradScale,
      scalars.biasCorrection1,
      scalars.biasCorrection2,
    ] as tf.Scalar[];
    const next = names.map((name) => {
      const [p, g, m, v] = ['p', 'g', 'm', 'v'].map((kind) => tensors[`${kind}.${name}`]!);
      const updated = adamW(
        { p: p!, g: g!, m: m!, v: v! },
        {
          ...{ beta1: 0.9, beta2: 0.999, eps: 1e-8, weightDecay: name === 'b' ? 0 : 0.1 },
          lr: lr!,
          gradScale: gradScale!,
          biasCorrection1: biasCorrection1!,
          biasCorrection2: biasCorrection2!,
        },
      );
      return {
        [`p.${name}`]: updated.p,
        [`m.${name}`]: updated.m,
        [`v.${name}`]: updated.v,
        [`g.${name}`]: tf.zerosLike(g!),
      };
    });
    return { next: Object.assign({}, ...next) };
  },
};

/** A few updates of a network, each by several micro-batches under way together. */
async function train(engine: Engine): Promise<{ numbers: number[]; bits: string }> {
  const space = await engine.open(state);
  await space.add({ gradient, norm, apply });
  await space.load(
    Object.fromEntries(
      Object.entries(weights).map(([name, { shape }], k) => [
        `p.${name}`,
        wave(sizeOf(shape), k).map((x) => x / 9),
      ]),
    ),
  );
  const numbers: number[] = [];
  for (let step = 1; step <= 3; step++) {
    const batches = Array.from({ length: 5 }, (_, k) => wave(rows * width, step + k));
    const results = await Promise.all(batches.map((x) => space.run('gradient', { x })));
    const { squares } = await space.run('norm', {});
    numbers.push(squares![0]!, ...results.map(({ loss }) => loss![0]!));
    await space.run('apply', {
      lr: floats(1e-3),
      gradScale: floats(Math.min(1, 1 / Math.sqrt(squares![0]!))),
      biasCorrection1: floats(1 - 0.9 ** step),
      biasCorrection2: floats(1 - 0.999 ** step),
    });
  }
  const ends = await space.read(Object.keys(state));
  await space.dispose();
  const bits = Object.values(ends).map(({ buffer }) => Buffer.from(buffer).toString('base64'));
  return { numbers, bits: bits.join() };
}

/** Training ends in the same bits on engines that differ in the number of their workers, or in where their state lies. */
export function sameBitsConformance(name: string, engines: Readonly<Record<string, () => Engine>>): void {
  it(`training ends in the same bits on ${name}: ${Object.keys(engines).join(', ')}`, async () => {
    const ends = [];
    for (const create of Object.values(engines)) {
      const engine = create();
      ends.push(await train(engine));
      await engine.close();
    }
    const [first, ...others] = ends;
    expect(first!.numbers.every(Number.isFinite)).toBe(true);
    for (const other of others) {
      expect(other.numbers).toEqual(first!.numbers);
      expect(other.bits === first!.bits).toBe(true);
    }
  });
}
