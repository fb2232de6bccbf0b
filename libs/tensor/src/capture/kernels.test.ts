import * as tf from '@tensorflow/tfjs';
import { afterAll, describe, expect, it } from 'vitest';
import { compute } from '../compute.test.support.js';
import {
  type Buffers,
  cpuEngine,
  float32,
  int32,
  onnxEngine,
  type Specs,
  sizeOf,
  type Tensors,
} from '../index.js';

type Op = (...inputs: tf.Tensor[]) => tf.Tensor | tf.Tensor[];
interface Case {
  readonly op: Op;
  readonly inputs: readonly (readonly number[])[];
  /** Values are drawn from this interval, away from kinks. */
  readonly range?: readonly [number, number];
  /** Whole-number input, as its last. */
  readonly ids?: { readonly shape: readonly number[]; readonly below: number };
  readonly differentiable?: false;
}

const [a, b, row] = [[2, 3], [2, 3], [3]] as const;
const positive = [0.3, 2] as const;

/**
 * Every kernel with a mapping is reached through a tfjs op here. Where tfjs itself has no gradient (comparisons,
 * rounding, scatter) or a wrong one (exclusive cumsum, broadcasting minimum), only the forward pass is compared.
 */
const cases: Record<string, Case> = {
  add: { op: tf.add, inputs: [a, row] },
  sub: { op: tf.sub, inputs: [a, row] },
  mul: { op: tf.mul, inputs: [a, b] },
  div: { op: tf.div, inputs: [a, row], range: positive },
  maximum: { op: tf.maximum, inputs: [a, b] },
  minimum: { op: tf.minimum, inputs: [a, b] },
  pow: { op: tf.pow, inputs: [a, b], range: positive },
  squaredDifference: { op: tf.squaredDifference, inputs: [a, b] },
  greater: { op: (x, y) => tf.cast(tf.greater(x!, y!), 'float32'), inputs: [a, b], differentiable: false },
  greaterEqual: {
    op: (x, y) => tf.cast(tf.greaterEqual(x!, y!), 'float32'),
    inputs: [a, b],
    differentiable: false,
  },
  less: { op: (x, y) => tf.cast(tf.less(x!, y!), 'float32'), inputs: [a, row], differentiable: false },
  lessEqual: {
    op: (x, y) => tf.cast(tf.lessEqual(x!, y!), 'float32'),
    inputs: [a, b],
    differentiable: false,
  },
  equal: {
    op: (x, y) => tf.cast(tf.equal(tf.sign(x!), tf.sign(y!)), 'float32'),
    inputs: [a, b],
    differentiable: false,
  },
  notEqual: {
    op: (x, y) => tf.cast(tf.notEqual(tf.sign(x!), tf.sign(y!)), 'int32'),
    inputs: [a, b],
    differentiable: false,
  },
  logical: {
    op: (x, y) =>
      tf.cast(
        tf.logicalOr(tf.logicalAnd(tf.greater(x!, 0), tf.less(y!, 0)), tf.logicalNot(tf.less(x!, y!))),
        'float32',
      ),
    inputs: [a, b],
    differentiable: false,
  },
  exp: { op: tf.exp, inputs: [a] },
  expm1: { op: tf.expm1, inputs: [a] },
  log: { op: tf.log, inputs: [a], range: positive },
  log1p: { op: tf.log1p, inputs: [a], range: positive },
  tanh: { op: tf.tanh, inputs: [a] },
  sqrt: { op: tf.sqrt, inputs: [a], range: positive },
  rsqrt: { op: tf.rsqrt, inputs: [a], range: positive },
  neg: { op: tf.neg, inputs: [a] },
  erf: { op: tf.erf, inputs: [a] },
  sigmoid: { op: tf.sigmoid, inputs: [a] },
  logSigmoid: { op: tf.logSigmoid, inputs: [a], range: [-8, 8] },
  softplus: { op: tf.softplus, inputs: [a], range: [-8, 8] },
  abs: { op: tf.abs, inputs: [a] },
  sign: { op: tf.sign, inputs: [a], differentiable: false },
  floor: { op: tf.floor, inputs: [a], range: [-5, 5], differentiable: false },
  relu: { op: tf.relu, inputs: [a] },
  reciprocal: { op: tf.reciprocal, inputs: [a], range: positive },
  square: { op: tf.square, inputs: [a] },
  clip: { op: (x) => tf.clipByValue(x!, -0.5, 0.5), inputs: [a] },
  where: {
    op: (x, y, ids) => tf.where(tf.cast(ids!, 'bool'), x!, y!),
    inputs: [a, b],
    ids: { shape: a, below: 2 },
  },
  reshape: { op: (x) => tf.reshape(x!, [3, -1]), inputs: [a] },
  expandDims: { op: (x) => tf.mul(tf.expandDims(x!, -1), tf.expandDims(x!, 1)), inputs: [a] },
  squeeze: { op: (x) => tf.squeeze(x!, [1]), inputs: [[2, 1, 3]] },
  transpose: { op: (x) => tf.transpose(x!, [2, 0, 1]), inputs: [[2, 3, 4]] },
  slice: { op: (x) => tf.slice(x!, [0, 1], [2, -1]), inputs: [a] },
  split: { op: (x) => tf.split(x!, [1, 2], -1), inputs: [a] },
  concat: { op: (x, y) => tf.concat([x!, y!], -1), inputs: [a, [2, 1]] },
  stack: { op: (x, y) => tf.stack([x!, y!], 1), inputs: [a, b] },
  unstack: { op: (x) => tf.unstack(x!, 1), inputs: [a] },
  pad: {
    op: (x) =>
      tf.pad(
        x!,
        [
          [1, 0],
          [0, 2],
        ],
        0.5,
      ),
    inputs: [a],
  },
  tile: { op: (x) => tf.tile(x!, [2, 1]), inputs: [a] },
  broadcastTo: { op: (x) => tf.broadcastTo(x!, [2, 3]), inputs: [[1, 3]] },
  zerosAndOnes: { op: (x) => tf.add(tf.mul(x!, tf.zerosLike(x!)), tf.mul(x!, tf.onesLike(x!))), inputs: [a] },
  fill: { op: (x) => tf.add(x!, tf.fill([2, 3], 0.25)), inputs: [a] },
  range: { op: (x) => tf.mul(x!, tf.range(0, 3, 1)), inputs: [a] },
  matMul: {
    op: (x, y) => tf.matMul(x!, y!),
    inputs: [
      [4, 3],
      [3, 2],
    ],
  },
  matMulTransposedA: {
    op: (x, y) => tf.matMul(x!, y!, true),
    inputs: [
      [3, 4],
      [3, 2],
    ],
  },
  matMulTransposedB: {
    op: (x, y) => tf.matMul(x!, y!, false, true),
    inputs: [
      [2, 4, 3],
      [2, 5, 3],
    ],
  },
  batchMatMul: {
    op: (x, y) => tf.matMul(x!, y!),
    inputs: [
      [2, 3, 4, 5],
      [2, 3, 5, 2],
    ],
  },
  sum: { op: (x) => tf.sum(x!, [0, 2]), inputs: [[2, 3, 4]] },
  sumKeepDims: { op: (x) => tf.sum(x!, -1, true), inputs: [a] },
  mean: { op: (x) => tf.mean(x!, -1, true), inputs: [a] },
  meanOfAll: { op: (x) => tf.mean(x!), inputs: [a] },
  max: { op: (x) => tf.max(x!, -1), inputs: [a] },
  min: { op: (x) => tf.min(x!, 0, true), inputs: [a] },
  prod: { op: (x) => tf.prod(x!, 1), inputs: [a], differentiable: false },
  argMax: { op: (x) => tf.argMax(x!, -1), inputs: [a], differentiable: false },
  topK: {
    // Whole numbers, some of which are equal: of those the first come first.
    op: (x) => {
      const { values, indices } = tf.topk(tf.floor(tf.mul(x!, 4)), 4);
      return [values, tf.cast(indices, 'float32')];
    },
    inputs: [[3, 7]],
    differentiable: false,
  },
  cumsum: { op: (x) => tf.cumsum(x!, 1, false, true), inputs: [a] },
  cumsumExclusive: { op: (x) => tf.cumsum(x!, 0, true), inputs: [a], differentiable: false },
  softmax: { op: (x) => tf.softmax(x!), inputs: [a] },
  logSoftmax: { op: (x) => tf.logSoftmax(x!), inputs: [a] },
  logSumExp: { op: (x) => tf.logSumExp(x!, -1), inputs: [a] },
  gather: {
    op: (x, ids) => tf.gather(x!, ids as tf.Tensor1D),
    inputs: [[5, 2]],
    ids: { shape: [4], below: 5 },
  },
  gatherMatrixOfIds: {
    op: (x, ids) => tf.gather(x!, ids as tf.Tensor2D),
    inputs: [[5, 2]],
    ids: { shape: [2, 3], below: 5 },
  },
  gatherColumns: {
    op: (x, ids) => tf.gather(x!, ids as tf.Tensor1D, 1),
    inputs: [[2, 5]],
    ids: { shape: [3], below: 5 },
  },
  gatherND: {
    op: (x, ids) => tf.gatherND(x!, ids!),
    inputs: [[3, 3]],
    ids: { shape: [4, 2], below: 3 },
    differentiable: false,
  },
  scatterND: {
    op: (x, ids) => tf.scatterND(tf.reshape(ids!, [4, 1]), x!, [5]),
    inputs: [[4]],
    ids: { shape: [4], below: 5 },
    differentiable: false,
  },
  tensorScatterUpdate: {
    op: (x, y, ids) => tf.tensorScatterUpdate(x!, tf.reshape(ids!, [2, 1]), y!),
    inputs: [
      [5, 3],
      [2, 3],
    ],
    ids: { shape: [2], below: 5 },
    differentiable: false,
  },
  segmentSum: {
    op: (x, ids) => tf.unsortedSegmentSum(x!, ids as tf.Tensor1D, 3),
    inputs: [[4, 2]],
    ids: { shape: [4], below: 3 },
  },
  oneHot: {
    op: (x, ids) => tf.mul(x!, tf.oneHot(ids as tf.Tensor1D, 3)),
    inputs: [a],
    ids: { shape: [2], below: 3 },
  },
};

/** Numbers without a pattern that a wrong axis could hide behind. */
const values = (count: number, [low, high]: readonly [number, number], from: number) =>
  Float32Array.from(
    { length: count },
    (_, i) => low + (high - low) * ((Math.sin((i + from) * 12.9898) * 43758.5453) % 1) ** 2,
  );

const onnx = onnxEngine();
const cpu = cpuEngine();
afterAll(() => onnx.close());

async function expectSame(program: (inputs: Tensors) => Tensors, specs: Specs, buffers: Buffers) {
  const [onOnnx, onCpu] = await Promise.all(
    [onnx, cpu].map((engine) => compute(engine, program, specs, buffers)),
  );
  expect(Object.keys(onOnnx!)).toEqual(Object.keys(onCpu!));
  for (const [name, expected] of Object.entries(onCpu!)) {
    const came = onOnnx![name]!;
    expect(came.constructor).toBe(expected.constructor);
    expect(came.length).toBe(expected.length);
    expected.forEach((x, i) => {
      expect(Math.abs(came[i]! - x), `${name}[${i}]: ${came[i]} for ${x}`).toBeLessThanOrEqual(
        1e-5 * Math.max(1, Math.abs(x)),
      );
    });
  }
}

describe.each(Object.entries(cases))(
  '%s',
  (_name, { op, inputs, range = [-1, 1], ids, differentiable = true }) => {
    const specs: Record<string, ReturnType<typeof float32>> = {};
    const buffers: Record<string, Float32Array | Int32Array> = {};
    inputs.forEach((shape, i) => {
      specs[`x${i}`] = float32(...shape);
      buffers[`x${i}`] = values(sizeOf(shape), range, 100 * i + 1);
    });
    if (ids) {
      specs.ids = int32(...ids.shape);
      buffers.ids = Int32Array.from({ length: sizeOf(ids.shape) }, (_, i) => (i * 7 + 2) % ids.below);
    }
    const named = (outputs: tf.Tensor | tf.Tensor[]) =>
      Object.fromEntries([outputs].flat().map((y, i) => [`y${i}`, y]));

    it('computes what the oracle computes', () =>
      expectSame((x) => named(op(...Object.values(x))), specs, buffers));

    it.runIf(differentiable)('has its gradient', () => {
      const weighted = (...xs: tf.Tensor[]) => {
        const terms = [op(...xs)]
          .flat()
          .map((y, k) => tf.sum(tf.mul(y, tf.reshape(tf.add(tf.range(0, y.size, 1), k + 1), y.shape))));
        return terms.reduce((sum, term) => tf.add(sum, term)) as tf.Scalar;
      };
      const program: (inputs: Tensors) => Tensors = (x) => {
        const wanted = inputs.map((_, i) => x[`x${i}`]!);
        const rest = ids ? [x.ids!] : [];
        return named(tf.grads((...xs: tf.Tensor[]) => weighted(...xs, ...rest))(wanted));
      };
      return expectSame(program, specs, buffers);
    });
  },
);
