import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs';
import { expect, it } from 'vitest';
import { type Engine, type Frozen, float32, type Program, sizeOf } from '../engine.js';
import { adamWKernel } from '../kernels/adamw.js';
import { sumOfSquares } from '../kernels/sum-of-squares.js';
import { floats, wave } from './harness.js';

const [width, rows] = [160, 5];
const weights = { w1: float32(width, 3 * width), w2: float32(3 * width, width), b: float32(width) };
type Name = keyof typeof weights;
const allNames = Object.keys(weights) as Name[];
/** The one that stands still where another one than all is trained. */
const FROZEN = 'w2';
const start = Object.fromEntries(
  allNames.map((name, k) => [`p.${name}`, wave(sizeOf(weights[name].shape), k).map((x) => x / 9)]),
);
const stateOf = (names: readonly Name[]) =>
  Object.fromEntries([
    ...allNames.map((name) => [`p.${name}`, weights[name]]),
    ...names.flatMap((name) => ['g', 'm', 'v'].map((kind) => [`${kind}.${name}`, weights[name]])),
  ]);

/** Moves against the sign of the gradient: enough for an engine without loops of its own. */
const adamW = adamWKernel(({ p, g, m, v }, { lr, gradScale }) => ({
  p: tf.sub(p, tf.mul(lr, tf.sign(tf.mul(g, gradScale)))),
  m: tf.add(m, g),
  v: tf.add(v, tf.square(g)),
}));

const gradientOf = (names: readonly Name[]): Program => ({
  inputs: { x: float32(rows, width) },
  reads: allNames.map((name) => `p.${name}`),
  run: (tensors, { x }) => {
    const loss = (...trained: tf.Tensor[]) => {
      const of = (name: Name) => trained[names.indexOf(name)] ?? tensors[`p.${name}`]!;
      const hidden = tf.tanh(tf.matMul(x as tf.Tensor2D, of('w1') as tf.Tensor2D));
      const y = tf.add(tf.matMul(hidden as tf.Tensor2D, of('w2') as tf.Tensor2D), of('b'));
      return tf.mean(tf.square(tf.sub(y, x!))) as tf.Scalar;
    };
    const { value, grads } = tf.valueAndGrads(loss)(names.map((name) => tensors[`p.${name}`]!));
    return {
      outputs: { loss: value },
      added: Object.fromEntries(names.map((name, i) => [`g.${name}`, grads[i]!])),
    };
  },
});
const normOf = (names: readonly Name[]): Program => ({
  inputs: {},
  reads: names.map((name) => `g.${name}`),
  run: (tensors) => ({ outputs: { squares: sumOfSquares(Object.values(tensors)) } }),
});
const applyTo = (names: readonly Name[]): Program => ({
  inputs: { lr: float32(), gradScale: float32(), biasCorrection1: float32(), biasCorrection2: float32() },
  reads: names.flatMap((name) => ['p', 'g', 'm', 'v'].map((kind) => `${kind}.${name}`)),
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
});

/** A few updates of a network, each by several micro-batches under way together. */
async function train(engine: Engine, frozen?: Frozen): Promise<{ numbers: number[]; bits: string }> {
  const names = allNames.filter((name) => !frozen || name !== FROZEN);
  const state = stateOf(names);
  const space = await engine.open(state, frozen && { frozen });
  await space.add({ gradient: gradientOf(names), norm: normOf(names), apply: applyTo(names) });
  await space.load(Object.fromEntries(names.map((name) => [`p.${name}`, start[`p.${name}`]!])));
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

/**
 * Training ends in the same bits on engines that differ in the number of their workers, or in where their state lies; also
 * where a tensor is frozen and lies in a file.
 */
export function sameBitsConformance(name: string, engines: Readonly<Record<string, () => Engine>>): void {
  const endsOf = async (frozen?: Frozen) => {
    const ends = [];
    for (const create of Object.values(engines)) {
      const engine = create();
      ends.push(await train(engine, frozen));
      await engine.close();
    }
    return ends;
  };
  const expectEqual = ([first, ...others]: Awaited<ReturnType<typeof endsOf>>) => {
    expect(first!.numbers.every(Number.isFinite)).toBe(true);
    for (const other of others) {
      expect(other.numbers).toEqual(first!.numbers);
      expect(other.bits === first!.bits).toBe(true);
    }
  };
  const listed = Object.keys(engines).join(', ');

  it(`training ends in the same bits on ${name}: ${listed}`, async () => expectEqual(await endsOf()));

  it(`and beside a frozen tensor in a file: ${listed}`, async () => {
    const folder = await mkdtemp(join(tmpdir(), 'rlhf-streams-stored-'));
    try {
      const file = join(folder, 'tensors');
      await writeFile(file, new Uint8Array(start[`p.${FROZEN}`]!.buffer));
      expectEqual(await endsOf({ hash: 'in a file', stored: { file, offsets: { [`p.${FROZEN}`]: 0 } } }));
    } finally {
      await rm(folder, { recursive: true });
    }
  });
}
