import * as tf from '@tensorflow/tfjs';
import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { expectClose, golden, type Matrix } from './golden.test.support.js';
import { selectiveLogSoftmax } from './logprobs.js';
import {
  conjugateGradient,
  fisherVectorProduct,
  lineSearch,
  stepSize,
  surrogateLoss,
  trialLoss,
} from './trpo.js';

beforeAll(() => tf.setBackend('cpu'));

interface Case {
  name: string;
  kind: 'linear' | 'mlp';
  params: {
    delta: number;
    damping: number;
    backtrack_coeff: number;
    cg_iters: number;
    max_backtracks: number;
    param_shapes: number[][];
  };
  inputs: { states: Matrix; actions: number[]; advantages: number[]; theta_old: number[]; vector: number[] };
  expected: {
    old_logprobs: Matrix;
    surrogate_old: number;
    policy_gradient: number[];
    fvp_undamped: number[];
    cg_iterations: number;
    cg_residual_norm_sq: number[];
    cg_direction: number[];
    direction_curvature: number;
    step_scale: number;
    full_step: number[];
    line_search: { kl: number; improvement: number; ok: boolean }[];
    accepted_j: number | null;
    theta_new: number[];
  };
}

const cases = golden<Case>('trpo.json').map((each) => [each.name, each] as const);

/** The policy of a case over tensors, and vectors cut into the shapes of its parameters. */
function policyOf({ kind, params, inputs }: Case) {
  const states = tf.tensor2d(inputs.states);
  const logits = (...theta: tf.Tensor[]): tf.Tensor2D => {
    const linear = (x: tf.Tensor2D, i: number) =>
      tf.add(tf.matMul(x, theta[i] as tf.Tensor2D), theta[i + 1]!) as tf.Tensor2D;
    return kind === 'linear' ? linear(states, 0) : linear(tf.tanh(linear(states, 0)), 2);
  };
  const cut = (vector: ArrayLike<number>): tf.Tensor[] => {
    let at = 0;
    return params.param_shapes.map((shape) => {
      const size = tf.util.sizeFromShape(shape);
      at += size;
      return tf.tensor(Array.from(vector).slice(at - size, at), shape);
    });
  };
  const joined = (tensors: readonly tf.Tensor[]) =>
    Float64Array.from(tensors.flatMap((tensor) => [...tensor.dataSync()]));
  return { logits, cut, joined };
}

/** Measures a case's policy beside its old one. */
function trialOf(each: Case, theta: ArrayLike<number>) {
  const { logits, cut } = policyOf(each);
  const { actions, advantages, theta_old } = each.inputs;
  const ids = tf.tensor1d(actions, 'int32');
  const oldLogits = logits(...cut(theta_old));
  const { loss, stats } = trialLoss({
    logits: logits(...cut(theta)),
    oldLogits,
    ids,
    oldLogprobs: selectiveLogSoftmax(oldLogits, ids),
    advantages: tf.tensor1d(advantages),
    mask: tf.ones([actions.length]),
    normaliser: actions.length,
  });
  return { kl: stats.kl.arraySync(), improvement: -loss.arraySync() };
}

/** F of a case as a matrix, in float64: the mean over states of J' (diag(p) - p p') J, with J = dz / dtheta written out. */
function explicitFisher({ kind, params, inputs, expected }: Case): Matrix {
  const V = expected.old_logprobs[0]!.length;
  const J = inputs.states.map((state) => {
    // Each logit has a column of weights on the inputs of its layer, and a bias.
    const ofLast = (x: readonly number[], v: number) =>
      [...x, 1].flatMap((xi) => Array.from({ length: V }, (_, w) => (w === v ? xi : 0)));
    if (kind === 'linear') return Array.from({ length: V }, (_, v) => ofLast(state, v));
    const [D, H] = params.param_shapes[0] as [number, number];
    const theta = (at: number) => inputs.theta_old[at]!;
    const hidden = Array.from({ length: H }, (_, h) =>
      Math.tanh(state.reduce((sum, s, i) => sum + s * theta(i * H + h), theta(D * H + h))),
    );
    return Array.from({ length: V }, (_, v) => {
      const slope = hidden.map((y, h) => (1 - y * y) * theta((D + 1) * H + h * V + v));
      return [...[...state, 1].flatMap((s) => slope.map((d) => s * d)), ...ofLast(hidden, v)];
    });
  });
  const size = inputs.theta_old.length;
  const HJ = J.map((rows, n) => {
    const p = expected.old_logprobs[n]!.map(Math.exp);
    const mean = Array.from({ length: size }, (_, a) =>
      rows.reduce((sum, row, v) => sum + p[v]! * row[a]!, 0),
    );
    return rows.map((row, v) => row.map((entry, a) => p[v]! * (entry - mean[a]!)));
  });
  return Array.from({ length: size }, (_, a) =>
    Array.from({ length: size }, (_, b) => {
      const sums = J.map((rows, n) => rows.reduce((sum, row, v) => sum + row[a]! * HJ[n]![v]![b]!, 0));
      return sums.reduce((sum, x) => sum + x, 0) / J.length;
    }),
  );
}

const times = (matrix: Matrix) => async (v: Float64Array) =>
  Float64Array.from(matrix, (row) => row.reduce((sum, x, i) => sum + x * v[i]!, 0));

describe.each(cases)('golden step %s', (_, each) => {
  const { params, inputs, expected } = each;
  const { damping, delta, cg_iters: iterations } = params;

  test('surrogate and its gradient', () => {
    const { logits, cut, joined } = policyOf(each);
    const ids = tf.tensor1d(inputs.actions, 'int32');
    const batch = {
      oldLogprobs: tf.tensor1d(expected.old_logprobs.map((row, n) => row[inputs.actions[n]!]!)),
      advantages: tf.tensor1d(inputs.advantages),
      mask: tf.ones([inputs.actions.length]),
      normaliser: inputs.actions.length,
    };
    const loss = (...theta: tf.Tensor[]) =>
      surrogateLoss({ ...batch, logprobs: selectiveLogSoftmax(logits(...theta), ids) });
    const theta = cut(inputs.theta_old);
    expectClose(-loss(...theta).loss.arraySync(), expected.surrogate_old, 1e-5);
    expectClose(loss(...theta).stats.ratio.arraySync(), 1, 1e-5);
    const gradient = joined(tf.grads((...theta) => loss(...theta).loss)(theta)).map((x) => -x);
    expectClose([...gradient], expected.policy_gradient, 1e-5);
  });

  test('F v', () => {
    const { logits, cut, joined } = policyOf(each);
    const N = inputs.actions.length;
    const Fv = fisherVectorProduct(logits, cut(inputs.theta_old), cut(inputs.vector), {
      mask: tf.ones([N]),
      normaliser: N,
    });
    expectClose([...joined(Fv)], expected.fvp_undamped, 1e-5);
  });

  test('direction and step', async () => {
    const fisher = times(explicitFisher(each));
    const g = Float64Array.from(expected.policy_gradient);
    const {
      x,
      curvature,
      residual,
      iterations: taken,
    } = await conjugateGradient(fisher, g, {
      iterations,
      damping,
    });
    const tolerance = 1e-8;
    expect(taken).toBe(expected.cg_iterations);
    expectClose([...x], expected.cg_direction, tolerance);
    expectClose(curvature, expected.direction_curvature, tolerance);
    expectClose(residual, Math.sqrt(expected.cg_residual_norm_sq.at(-1)!), tolerance);
    expectClose(stepSize(delta, curvature), expected.step_scale, tolerance);
    const step = x.map((number) => number * stepSize(delta, curvature));
    expectClose([...step], expected.full_step, tolerance);
  });

  test('line search', async () => {
    const { theta_old } = inputs;
    const tried: { kl: number; improvement: number }[] = [];
    const stepped = (scale: number) => theta_old.map((x, i) => x + scale * expected.cg_direction[i]!);
    const { trials, accepted } = await lineSearch(
      async (scale) => {
        tried.push(trialOf(each, stepped(scale)));
        return tried.at(-1)!;
      },
      {
        size: expected.step_scale,
        delta,
        backtrackCoef: params.backtrack_coeff,
        backtrackIterations: params.max_backtracks,
      },
    );
    const listed = (key: 'kl' | 'improvement') => expected.line_search.map((step) => step[key]);
    expect(trials).toBe(expected.line_search.length);
    expectClose(
      tried.map(({ kl }) => kl),
      listed('kl'),
      1e-5,
    );
    expectClose(
      tried.map(({ improvement }) => improvement),
      listed('improvement'),
      1e-5,
    );
    expect(accepted === undefined).toBe(expected.accepted_j === null);
    if (accepted) expectClose(stepped(accepted.scale), expected.theta_new, 1e-9);
  });
});

test('F is symmetric and positive semidefinite, and padding has no part in it', () => {
  const [, each] = cases.find(([, { kind }]) => kind === 'mlp')!;
  const { logits, cut, joined } = policyOf(each);
  const N = each.inputs.actions.length;
  const numbers = fc.array(fc.float({ min: -2, max: 2, noNaN: true }), {
    minLength: each.inputs.vector.length,
    maxLength: each.inputs.vector.length,
  });
  const dot = (a: ArrayLike<number>, b: ArrayLike<number>) =>
    Array.from(a).reduce((sum, x, i) => sum + x * b[i]!, 0);
  const masks = fc.array(fc.constantFrom(0, 1), { minLength: N, maxLength: N });
  fc.assert(
    fc.property(numbers, numbers, masks, (u, v, mask) => {
      const theta = cut(each.inputs.theta_old);
      const F = (vector: readonly number[]) =>
        joined(fisherVectorProduct(logits, theta, cut(vector), { mask: tf.tensor1d(mask), normaliser: N }));
      const [Fu, Fv] = [F(u), F(v)];
      const scale = 1 + Math.sqrt(dot(u, u) * dot(v, v));
      expect(Math.abs(dot(u, Fv) - dot(v, Fu)) / scale).toBeLessThan(1e-5);
      expect(dot(v, Fv)).toBeGreaterThan(-1e-5 * scale);
      if (!mask.includes(1)) expect(dot(Fv, Fv)).toBe(0);
    }),
    { numRuns: 20 },
  );
});

describe('conjugate gradient', () => {
  test('solves a positive definite system in as many products as it has unknowns', async () => {
    const size = 5;
    const entries = fc.array(fc.double({ min: -1, max: 1, noNaN: true }), {
      minLength: size * size,
      maxLength: size * size,
    });
    const vector = fc.array(fc.double({ min: -1, max: 1, noNaN: true }), {
      minLength: size,
      maxLength: size,
    });
    await fc.assert(
      fc.asyncProperty(entries, vector, async (m, g) => {
        // M'M is positive semidefinite, and with the damping definite.
        const matrix = Array.from({ length: size }, (_, i) =>
          Array.from({ length: size }, (_, j) =>
            Array.from({ length: size }, (_, k) => m[k * size + i]! * m[k * size + j]!).reduce(
              (a, b) => a + b,
            ),
          ),
        );
        const options = { iterations: size, damping: 0.1 };
        const { x, curvature } = await conjugateGradient(times(matrix), Float64Array.from(g), options);
        const damped = matrix.map((row, i) => row.map((value, j) => value + (i === j ? 0.1 : 0)));
        const Ax = await times(damped)(x);
        expectClose([...Ax], g, 1e-4);
        expectClose(
          curvature,
          x.reduce((sum, value, i) => sum + value * Ax[i]!, 0),
          1e-4,
        );
      }),
    );
  });

  test('of a gradient of 0 asks for no product, and is followed by no step', async () => {
    const never = async (): Promise<Float32Array> => {
      throw new Error('no product expected');
    };
    const options = { iterations: 10, damping: 0.1 };
    const direction = await conjugateGradient(never, new Float32Array(3), options);
    expect(direction).toEqual({ x: new Float32Array(3), curvature: 0, residual: 0, iterations: 0 });
    const size = stepSize(0.01, direction.curvature);
    const search = { size, delta: 0.01, backtrackCoef: 0.8, backtrackIterations: 10 };
    expect(await lineSearch(never as never, search)).toEqual({ trials: 0 });
  });

  test.each([
    ['gradient', Float64Array.of(1, Number.NaN), Float64Array.of(1, 1)],
    ['product', Float64Array.of(1, 1), Float64Array.of(Number.POSITIVE_INFINITY, 1)],
  ])('of a %s that is not finite is an error', async (_, g, product) => {
    await expect(
      conjugateGradient(async () => product, g, { iterations: 1, damping: 0 }),
    ).rejects.toMatchObject({ code: 'ALIGNMENT_NOT_FINITE' });
  });
});

describe('the line search', () => {
  const options = { size: 1, delta: 0.01, backtrackCoef: 0.5, backtrackIterations: 3 };
  const searched = async (...trials: (readonly [kl: number, improvement: number])[]) => {
    let tried = 0;
    return lineSearch(async () => {
      const [kl, improvement] = trials[tried++]!;
      return { kl, improvement };
    }, options);
  };

  test('takes the first step within the trust region that improves the surrogate', async () => {
    const accepted = { scale: 0.25, kl: 0.01, improvement: 1 };
    expect(await searched([0.02, 5], [0.005, 0], [0.01, 1])).toEqual({ trials: 3, accepted });
  });

  test.each([
    ['too far', [1, 1]],
    ['no better', [0, 0]],
    ['worse', [0, -1]],
    ['not a number', [Number.NaN, Number.NaN]],
  ] as const)('rejects the step where all are %s', async (_, trial) => {
    expect(await searched(trial, trial, trial)).toEqual({ trials: 3 });
  });
});
