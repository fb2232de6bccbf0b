import * as tf from '@tensorflow/tfjs';
import { describe, expect, it } from 'vitest';
import { float32, type Program } from '../engine.js';
import { type AdamW, adamWKernel } from '../kernels/adamw.js';
import { kernel } from '../kernels/kernel.js';
import { sumOfSquares } from '../kernels/sum-of-squares.js';
import { plainLoops } from '../loops/loops.js';
import { distance, floats, type Harness, wave } from './harness.js';

const BETAS = { beta1: 0.9, beta2: 0.99, eps: 1e-8 };
const SCALARS = { lr: 0.01, biasCorrection1: 0.1, biasCorrection2: 0.01, gradScale: 0.7 };
const scalarInputs = Object.fromEntries(Object.keys(SCALARS).map((name) => [name, float32()]));
const scalarFeeds = Object.fromEntries(Object.entries(SCALARS).map(([name, value]) => [name, floats(value)]));

/** The plain composition, of which each operation is rounded to float32. */
const adamW: AdamW = adamWKernel(({ p, g, m, v }, options) => {
  const { lr, beta1, beta2, eps, weightDecay, biasCorrection1, biasCorrection2, gradScale } = options;
  const grad = tf.mul(g, gradScale);
  const newM = tf.add(tf.mul(beta1, m), tf.mul(1 - beta1, grad));
  const newV = tf.add(tf.mul(beta2, v), tf.mul(1 - beta2, tf.square(grad)));
  const denominator = tf.add(tf.sqrt(tf.div(newV, biasCorrection2)), eps);
  const update = tf.div(tf.mul(tf.div(lr, biasCorrection1), newM), denominator);
  const kept = weightDecay === 0 ? p : tf.mul(p, tf.sub(1, tf.mul(lr, weightDecay)));
  return { p: tf.sub(kept, update), m: newM, v: newV };
});

/** Sizes around a vector of four, and above a block. */
const SIZES = [1, 3, 4, 13, 70_001, 200_003];
const names = ['p', 'g', 'm', 'v'] as const;
const state = Object.fromEntries(
  SIZES.flatMap((size, k) => names.map((name) => [`${name}${k}`, float32(size)])),
);
const values = Object.fromEntries(
  SIZES.flatMap((size, k) =>
    names.map((name, seed) => [
      `${name}${k}`,
      wave(size, seed + k).map((x) => (name === 'v' ? Math.abs(x) : x)),
    ]),
  ),
);
const weightDecay = (k: number) => (k % 2 === 0 ? 0.1 : 0);

const step = (with_: { readonly scaled?: boolean } = {}): Program => ({
  inputs: scalarInputs,
  reads: Object.keys(state),
  inPlace: Object.keys(state).filter((name) => !name.startsWith('g')),
  run: (tensors, { lr, biasCorrection1, biasCorrection2, gradScale }) => {
    const next = SIZES.map((_, k) => {
      const [p, g, m, v] = names.map((name) => tensors[`${name}${k}`]!);
      const updated = adamW(
        { p: p!, g: with_.scaled ? tf.mul(g!, 1) : g!, m: m!, v: v! },
        {
          ...BETAS,
          weightDecay: weightDecay(k),
          lr: lr as tf.Scalar,
          biasCorrection1: biasCorrection1 as tf.Scalar,
          biasCorrection2: biasCorrection2 as tf.Scalar,
          gradScale: gradScale as tf.Scalar,
        },
      );
      return {
        [`p${k}`]: updated.p,
        [`m${k}`]: updated.m,
        [`v${k}`]: updated.v,
        [`g${k}`]: tf.zerosLike(g!),
      };
    });
    return { next: Object.assign({}, ...next) };
  },
});

/** The state after a step, by the loops that are the oracle of all others. */
function stepped(): Record<string, Float32Array> {
  const { fround } = Math;
  const { lr, biasCorrection1, biasCorrection2, gradScale } = SCALARS;
  const after = Object.fromEntries(Object.entries(values).map(([name, buffer]) => [name, buffer.slice()]));
  SIZES.forEach((size, k) => {
    const [p, g, m, v] = names.map((name) => ({ view: after[`${name}${k}`]! }));
    const decay = fround(fround(lr) * fround(weightDecay(k)));
    plainLoops.adamW(
      { p: p!, g: g!, m: m!, v: v! },
      {
        gradScale: fround(gradScale),
        beta1: fround(BETAS.beta1),
        oneMinusBeta1: fround(1 - BETAS.beta1),
        beta2: fround(BETAS.beta2),
        oneMinusBeta2: fround(1 - BETAS.beta2),
        biasCorrection2: fround(biasCorrection2),
        eps: fround(BETAS.eps),
        step: fround(fround(lr) / fround(biasCorrection1)),
        keep: fround(1 - decay),
      },
      0,
      size,
    );
    g!.view.fill(0);
  });
  return after;
}

export function kernelTests(harness: Harness): void {
  const compare = (
    result: Readonly<Record<string, ArrayLike<number>>>,
    expected: Record<string, Float32Array>,
  ) => {
    for (const [name, buffer] of Object.entries(expected))
      expect(distance(Float32Array.from(result[name]!), buffer), name).toBeLessThan(harness.tolerance);
  };

  describe('AdamW', () => {
    it.each([
      ['alone: where an engine has loops for it, in place', {}],
      ['among other operations', { scaled: true }],
    ])('%s', (_, options) =>
      harness.within({ state, programs: { step: step(options) } }, async (space) => {
        await space.load(values);
        await space.run('step', scalarFeeds);
        compare(await space.read(Object.keys(state)), stepped());
      }),
    );

    it('follows the calls before it, and is seen by those behind it', () =>
      harness.within(
        {
          state: { p: float32(3), g: float32(3), m: float32(3), v: float32(3) },
          programs: {
            accumulate: {
              inputs: { x: float32(3) },
              reads: ['p'],
              run: ({ p }, { x }) => ({ outputs: { p: p! }, added: { g: x! } }),
            },
            apply: {
              inputs: {},
              reads: [...names],
              run: ({ p, g, m, v }) => ({
                next: {
                  ...adamW(
                    { p: p!, g: g!, m: m!, v: v! },
                    {
                      ...{ beta1: 0, beta2: 0, eps: 0, weightDecay: 0 },
                      ...{ lr: tf.scalar(1), gradScale: tf.scalar(1) },
                      ...{ biasCorrection1: tf.scalar(1), biasCorrection2: tf.scalar(1) },
                    },
                  ),
                  g: tf.zerosLike(g!),
                },
              }),
            },
          },
        },
        async (space) => {
          const results = await Promise.all(
            [1, 2, 3].flatMap((k) => [
              space.run('accumulate', { x: floats(1, -k, 4) }),
              space.run('accumulate', { x: floats(1, -k, 4) }),
              space.run('apply', {}),
            ]),
          );
          // With these settings a step moves each number by 1 against its gradient.
          const seen = results.flatMap(({ p }) => (p ? [[...p].map(Math.round)] : []));
          expect(seen).toEqual([0, 0, 1, 1, 2, 2].map((k) => [-k || 0, k, -k || 0]));
          expect([...(await space.read(['g'])).g!]).toEqual([0, 0, 0]);
          expect([...(await space.read(['p'])).p!].map(Math.round)).toEqual([-3, 3, -3]);
        },
      ));
  });

  describe('the sum of squares', () => {
    it('of tensors of the state, and among other operations', () =>
      harness.within(
        {
          state,
          programs: {
            alone: {
              inputs: {},
              reads: Object.keys(state),
              run: (tensors) => ({
                outputs: {
                  all: sumOfSquares(Object.values(tensors)),
                  one: sumOfSquares([tensors.g4!]),
                },
              }),
            },
            among: {
              inputs: {},
              reads: ['g4', 'p5'],
              run: ({ g4, p5 }) => ({ outputs: { norm: tf.sqrt(sumOfSquares([g4!, tf.mul(p5!, 2)])) } }),
            },
          },
        },
        async (space) => {
          await space.load(values);
          const sum = (...vectors: Float32Array[]) =>
            vectors.reduce((sum, vector) => sum + vector.reduce((sum, x) => sum + x * x, 0), 0);
          const { all, one } = await space.run('alone', {});
          const { norm } = await space.run('among', {});
          const near = (value: number) => ({
            low: value * (1 - harness.tolerance),
            high: value * (1 + harness.tolerance),
          });
          for (const [came, value] of [
            [all![0]!, sum(...Object.values(values))],
            [one![0]!, sum(values.g4!)],
            [norm![0]!, Math.sqrt(sum(values.g4!) + 4 * sum(values.p5!))],
          ] as const) {
            expect(came).toBeGreaterThan(near(value).low);
            expect(came).toBeLessThan(near(value).high);
          }
        },
      ));
  });

  describe('a kernel of a name that no engine knows', () => {
    it('is its composition', () => {
      const halved = kernel(
        'conformance.Halved',
        ({ x }: { readonly x: tf.Tensor }, { by }: { readonly by: number }) => ({
          y: tf.div(x, by),
        }),
      );
      return harness.within(
        {
          state: { a: float32(2) },
          programs: {
            halve: {
              inputs: {},
              reads: ['a'],
              run: ({ a }) => ({ next: { a: halved({ x: a! }, { by: 2 }).y } }),
            },
          },
        },
        async (space) => {
          await space.load({ a: floats(3, 8) });
          await space.run('halve', {});
          expect([...(await space.read(['a'])).a!]).toEqual([1.5, 4]);
        },
      );
    });
  });
}
