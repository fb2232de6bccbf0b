/** The contract of capture over the losses of training: what ONNX Runtime computes is what tfjs computes. */
import { cpuEngine, type Engine, onnxPool } from '@rlhf-streams/tensor';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { begin, itemsFor, runOf, type TrainingMethod, trainingMethods } from '../tiny.test.support.js';

let pool: Engine;
beforeAll(() => {
  pool = onnxPool({ workers: 1 });
});
afterAll(() => pool.close());

/** Each further product of conjugate gradient multiplies what rounding differs by. */
const FEW_PRODUCTS = { trpo: { cgIterations: 3 }, steps: 3 };

const cases: readonly (readonly [string, TrainingMethod, object])[] = [
  ...trainingMethods.map((method) => [method, method, method === 'trpo' ? FEW_PRODUCTS : {}] as const),
  ['reward with centering', 'reward', { reward: { centerRewardsCoefficient: 0.01 } }],
  ['reward by the best of all', 'reward', { reward: { objective: 'best_of_n' }, steps: 3 }],
  ['pro with temperatures', 'pro', { pro: { temperatures: 'reward_gaps' }, steps: 3 }],
  ['ppo with mini-batches', 'ppo', { ppo: { numPpoEpochs: 2, numMiniBatches: 2 }, steps: 3 }],
  ['dpo with ipo', 'dpo', { dpo: { lossType: 'ipo' }, steps: 3 }],
  ['dpo with hinge', 'dpo', { dpo: { lossType: 'hinge' }, steps: 3 }],
  [
    'dpo with sigmoid_norm and smoothed labels',
    'dpo',
    { dpo: { lossType: 'sigmoid_norm', labelSmoothing: 0.1 }, steps: 3 },
  ],
  ['dpo with simpo', 'dpo', { dpo: { lossType: 'simpo', beta: 2 }, steps: 3 }],
  ['dpo with lengths', 'dpo', { dpo: { alpha: 0.05 }, steps: 3 }],
  ['dpo with robust', 'dpo', { dpo: { lossType: 'robust', labelSmoothing: 0.1 }, steps: 3 }],
];

it.each(cases)('%s: every metric of a run is the same on both engines', async (_, method, change) => {
  const config = runOf(method, { steps: 5, ...change });
  const batches = [itemsFor(method, 4, 1), itemsFor(method, 4, 2)];
  const heldOut = itemsFor(method, 3, 3);
  const measured = [];
  for (const engine of [pool, cpuEngine()]) {
    const run = await begin(config, engine);
    const metrics = [];
    for (let step = 0; step < config.steps!; step++)
      metrics.push(await run.update(batches[step % batches.length]!));
    metrics.push(await run.evaluate(heldOut));
    measured.push(metrics);
    await run.trainer.close();
  }
  const [onnx, oracle] = measured;
  oracle!.forEach((metrics, step) => {
    expect(Object.keys(onnx![step]!)).toEqual(Object.keys(metrics));
    for (const [name, value] of Object.entries(metrics)) {
      expect(onnx![step]![name]! / scaleOf(value), `${name} of step ${step}`).toBeCloseTo(
        value / scaleOf(value),
        4,
      );
    }
  });
  for (const name of ['loss', 'loss/policy_avg', 'loss/value_avg', 'policy/entropy_avg', 'eval/loss']) {
    oracle!.forEach((metrics, step) => {
      const [a, b] = [onnx![step]![name], metrics[name]];
      if (b !== undefined)
        expect(Math.abs(a! - b) / scaleOf(b), `${name} of step ${step}`).toBeLessThan(1e-5);
    });
  }
});

/** Losses near 0 are compared as they are, larger ones relative to their size. */
const scaleOf = (value: number): number => Math.max(1, Math.abs(value));
