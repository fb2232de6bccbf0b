import '@rlhf-streams/kafka-broker/vitest';
import { type Engine, onnxPool, tensorflowEngine } from '@rlhf-streams/tensor';
import { describe, expect, inject, it } from 'vitest';
import { begin, itemsFor, runOf, type TrainingMethod } from '../tiny.test.support.js';
import { learningTests } from './learning.test.support.js';

describe.skipIf(!inject('tensorflow'))('on the tensorflow engine', () => {
  learningTests(tensorflowEngine, tensorflowEngine);

  const STEPS = 20;
  const lossesOn = async (engine: Engine, method: TrainingMethod) => {
    const run = await begin(runOf(method, { steps: STEPS }), engine);
    const items = itemsFor(method, 4, 1);
    const losses: number[] = [];
    for (let step = 0; step < STEPS; step++) {
      const metrics = await run.update(items);
      losses.push(metrics.loss ?? metrics['loss/policy_avg']! + metrics['loss/value_avg']!);
    }
    await run.trainer.close();
    await engine.close();
    return losses;
  };

  it.each([
    ['float32', { sft: 1e-5, reward: 1e-5, ppo: 1e-5, dpo: 1e-5 }],
    // Where PPO clips a ratio, what rounding differs by becomes a step of another size: its losses part after a few.
    ['bf16', { sft: 5e-3, reward: 5e-3, dpo: 5e-3 }],
  ] as const)('losses of %s are close to those of ONNX Runtime over 20 steps', async (precision, limits) => {
    for (const [method, within] of Object.entries(limits) as [TrainingMethod, number][]) {
      const expected = await lossesOn(onnxPool({ workers: 1 }), method);
      const losses = await lossesOn(tensorflowEngine({ precision }), method);
      losses.forEach((loss, step) => {
        const apart = Math.abs(loss - expected[step]!) / Math.max(1, Math.abs(expected[step]!));
        expect(apart, `${method}, step ${step}`).toBeLessThan(within);
      });
    }
  });
});
