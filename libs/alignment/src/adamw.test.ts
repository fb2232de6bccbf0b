import * as tf from '@tensorflow/tfjs';
import { beforeAll, expect, test } from 'vitest';
import { type AdamWVectors, adamw, biasCorrections } from './adamw.js';
import { gradientClipCoefficient } from './clip.js';
import { expectClose, flatten, golden, type Nested } from './golden.test.support.js';
import { learningRateAt, type ScheduleType } from './schedules.js';

interface Case {
  name: string;
  params: {
    lr: number;
    betas: [number, number];
    eps: number;
    weight_decay: number;
    max_norm: number | null;
    sched: [ScheduleType, number, number] | null;
  };
  inputs: { params: Nested[]; grads: Nested[][] };
  expected: {
    trace: {
      step: number;
      lr: number;
      grad_norm: number;
      clip_coef: number;
      params: Nested;
      exp_avg?: Nested;
      exp_avg_sq?: Nested;
    }[];
  };
}

beforeAll(() => tf.setBackend('cpu'));

test.each(golden<Case>('adamw.json'))(
  'golden $name: schedule, clipping and update',
  ({ params, inputs, expected }) => {
    const [beta1, beta2] = params.betas;
    let p: tf.Tensor = tf.tensor1d(flatten(inputs.params));
    let m: tf.Tensor = tf.zerosLike(p);
    let v: tf.Tensor = tf.zerosLike(p);
    for (const [i, step] of expected.trace.entries()) {
      const lr = params.sched === null ? params.lr : scheduled(i, params.lr, params.sched);
      const gradients = inputs.grads[i]!.map(flatten);
      const norm = Math.hypot(...gradients.flat());
      const clip = gradientClipCoefficient(norm, params.max_norm ?? Number.POSITIVE_INFINITY);
      expectClose([lr, norm, clip], [step.lr, step.grad_norm, step.clip_coef], 1e-9);

      const { biasCorrection1, biasCorrection2 } = biasCorrections(step.step, { beta1, beta2 });
      const vectors: AdamWVectors = { p, g: tf.tensor1d(gradients.flat()), m, v };
      ({ p, m, v } = adamw(vectors, {
        lr: tf.scalar(lr),
        beta1,
        beta2,
        eps: params.eps,
        weightDecay: params.weight_decay,
        biasCorrection1: tf.scalar(biasCorrection1),
        biasCorrection2: tf.scalar(biasCorrection2),
        gradScale: tf.scalar(clip),
      }));
      expectClose(p, flatten(step.params), 2e-6, `params of step ${step.step}`);
      if (step.exp_avg !== undefined && step.exp_avg_sq !== undefined) {
        expectClose(m, flatten(step.exp_avg), 2e-6, `first moment of step ${step.step}`);
        expectClose(v, flatten(step.exp_avg_sq), 2e-6, `second moment of step ${step.step}`);
      }
    }
  },
);

function scheduled(
  step: number,
  learningRate: number,
  [type, warmupSteps, trainingSteps]: [ScheduleType, number, number],
) {
  return learningRateAt(step, { type, learningRate, warmupSteps, trainingSteps });
}

test('a gradient norm that is no number is refused before it reaches the weights', () => {
  expect(() => gradientClipCoefficient(Number.NaN, 1)).toThrow('finite gradient norm');
});
