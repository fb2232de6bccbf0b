import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, test } from 'vitest';
import { expectClose, type Matrix, read } from './golden.test.support.js';
import { truncatedImportanceWeights } from './importance-sampling.js';
import { klLoss } from './kl.js';
import { ppoPolicyLoss } from './ppo.js';
import { reinforceLoss } from './reinforce.js';
import {
  klToOptimum,
  optimalLogprobs,
  TABULAR_DELTA,
  tableOptimizer,
  tabularMethods,
  weightedAdvantages,
} from './tabular-optimum.js';

interface Optimum {
  beta: number;
  ref_logprobs: Matrix;
  rewards: Matrix;
  optimal_logprobs: Matrix;
}

beforeAll(() => tf.setBackend('cpu'));

const { beta, ref_logprobs, rewards, optimal_logprobs } = read<Optimum>('tabular_optimum.json');
const task = { beta, refLogprobs: ref_logprobs, rewards };
const prompts = rewards.length;
const completions = rewards[0]!.length;
const mask = () => tf.ones([prompts, completions]);

test('the closed form is that of the golden numbers', () => {
  expectClose(optimalLogprobs(task), optimal_logprobs, 1e-12);
});

describe('with exact expectations comes to the optimum', () => {
  test.each(Object.keys(tabularMethods) as (keyof typeof tabularMethods)[])('%s', async (name) => {
    const { logits, most } = await tabularMethods[name](task);
    expectOptimal(logits);
    if (name === 'PPO-clip') expect(most, 'the clip must have been in force on the way').toBeGreaterThan(0);
    if (name === 'TRPO') {
      expect(most).toBeGreaterThan(0.5 * TABULAR_DELTA);
      expect(most).toBeLessThanOrEqual(TABULAR_DELTA);
    }
    if (name === 'PPO-penalty')
      expect(most, 'the penalty must have held the policy back on the way').toBeGreaterThan(1);
  });

  test('PPO from rollouts of a policy 4 iterations old, by importance', () => {
    const optimizer = tableOptimizer(task);
    const policies: Matrix[] = [];
    let mostTruncated = 0;
    for (let iteration = 0; iteration < 300; iteration++) {
      const oldLogprobs = tf.logSoftmax(optimizer.logits());
      policies.push(oldLogprobs.arraySync() as Matrix);
      const behaviour = policies[Math.max(0, iteration - 4)]!;
      const advantages = tf.tensor2d(weightedAdvantages(task, behaviour));
      const importance = behaviour.map((behaviourLogprobs, x) =>
        truncatedImportanceWeights(
          { proximalLogprobs: policies[iteration]![x]!, behaviourLogprobs },
          { cap: 1.5 },
        ),
      );
      mostTruncated = Math.max(mostTruncated, ...importance.map(({ truncated }) => truncated));
      const weights = tf.tensor2d(importance.map(({ weights }) => [...weights]));
      for (let epoch = 0; epoch < 4; epoch++) {
        optimizer.step(0.1 * (1 - iteration / 300), (logits) => {
          const batch = { logprobs: tf.logSoftmax(logits), oldLogprobs, advantages, weights, mask: mask() };
          return ppoPolicyLoss({ ...batch, cliprange: 0.2, normaliser: prompts }).loss;
        });
      }
    }
    expect(mostTruncated, 'the cap must have been in force on the way').toBeGreaterThan(0);
    expectOptimal(optimizer.logits());
  });

  test('REINFORCE, with the KL in the loss by k2', () => {
    const optimizer = tableOptimizer(task);
    for (let step = 0; step < 400; step++) {
      const sampled = tf.logSoftmax(optimizer.logits());
      const advantages = tf.tensor2d(weightedAdvantages(task, sampled.arraySync() as Matrix, 0));
      optimizer.step(0.3 * (1 - step / 400), (logits) => {
        const options = { logprobs: tf.logSoftmax(logits), mask: mask(), normaliser: prompts };
        const refLogprobs = tf.tensor2d(ref_logprobs);
        const held = klLoss({ ...options, refLogprobs, weights: tf.exp(sampled), estimator: 'k2' });
        return tf.add(reinforceLoss({ ...options, advantages }).loss, tf.mul(beta, held.loss));
      });
    }
    expectOptimal(optimizer.logits());
  });
});

function expectOptimal(logits: tf.Tensor): void {
  const start = klToOptimum(task, tf.tensor2d(ref_logprobs));
  const reached = klToOptimum(task, logits);
  const message = `KL(pi, pi*) per prompt went from [${start}] to [${reached}]`;
  expect(Math.min(...start), message).toBeGreaterThan(0.1);
  expect(Math.max(...reached), message).toBeLessThan(1e-3);
}
