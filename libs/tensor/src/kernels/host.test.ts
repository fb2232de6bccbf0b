import * as tf from '@tensorflow/tfjs';
import { describe, expect, it } from 'vitest';
import { trace } from '../capture/capture.js';
import { float32, type Program, type Tensors } from '../engine.js';
import { adamWKernel } from './adamw.js';
import { hostPlan, usesHostKernels } from './host.js';
import { sumOfSquares } from './sum-of-squares.js';

const adamW = adamWKernel(({ p, m, v }) => ({ p, m, v }));
const numbers = { beta1: 0.9, beta2: 0.99, eps: 1e-8, weightDecay: 0.1 };
const state = Object.fromEntries(['p', 'g', 'm', 'v', 'p2'].map((name) => [name, float32(3)]));
const inputs = Object.fromEntries(
  ['lr', 'gradScale', 'biasCorrection1', 'biasCorrection2'].map((name) => [name, float32()]),
);
const step = (state: Tensors, scalars: Tensors) =>
  adamW({ p: state.p!, g: state.g!, m: state.m!, v: state.v! }, {
    ...numbers,
    ...(scalars as Record<keyof typeof inputs, tf.Scalar>),
  } as Parameters<typeof adamW>[1]);
const traced = (run: Program['run']) =>
  trace({ inputs, reads: Object.keys(state), run }, state, { hostKernels: true });
const planOf = (run: Program['run']) => hostPlan(traced(run));

describe('a program is loops of the host', () => {
  it('when it is AdamW on the state, sums of squares, and 0', () => {
    const plan = planOf((state, scalars) => ({
      outputs: { squares: sumOfSquares([state.g!, state.p2!]) },
      next: { ...step(state, { ...scalars, gradScale: tf.scalar(0.5) }), g: tf.zerosLike(state.g!) },
    }));
    expect(plan).toEqual({
      adamW: [
        {
          tensors: { p: 'p', g: 'g', m: 'm', v: 'v' },
          scalars: {
            lr: { input: 'lr' },
            gradScale: { constant: 0.5 },
            biasCorrection1: { input: 'biasCorrection1' },
            biasCorrection2: { input: 'biasCorrection2' },
          },
          numbers,
        },
      ],
      squares: [{ output: 'squares', tensors: ['g', 'p2'] }],
      zeros: ['g'],
    });
  });

  const others: Record<string, Program['run']> = {
    'it does anything else': (state, scalars) => ({ next: step({ ...state, g: tf.neg(state.g!) }, scalars) }),
    'a scalar is computed': (state, scalars) => ({
      next: step(state, { ...scalars, lr: tf.neg(scalars.lr!) }),
    }),
    'a result goes to another tensor': (state, scalars) => {
      const { p, m, v } = step(state, scalars);
      return { next: { p2: p, m, v } };
    },
    'a result is not kept': (state, scalars) => ({ next: { p: step(state, scalars).p } }),
    'a result is an output': (state, scalars) => {
      const next = step(state, scalars);
      return { outputs: { p: next.p }, next };
    },
    'what it writes is read elsewhere': (state, scalars) => ({
      outputs: { squares: sumOfSquares([state.p!]) },
      next: step(state, scalars),
    }),
    'it sums an input': (_, { lr }) => ({ outputs: { squares: sumOfSquares([lr!]) } }),
    'it is something else altogether': (state) => ({ next: { p: tf.neg(state.p!) } }),
  };
  it.each(Object.entries(others))('not when %s', (_, run) => expect(planOf(run)).toBeUndefined());

  it('and only one that uses such a kernel is recorded anew without them', () => {
    expect(usesHostKernels(traced((state) => ({ next: { p: tf.neg(state.p!) } })))).toBe(false);
    expect(usesHostKernels(traced(others['a scalar is computed']!))).toBe(true);
  });
});
