import { type Engine, onnxPool } from '@rlhf-streams/tensor';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { begin, distance, initialParameters, itemsFor, layoutFor, runOf } from '../tiny.test.support.js';

let engine: Engine;
beforeAll(() => {
  engine = onnxPool({ workers: 1 });
});
afterAll(() => engine.close());

const items = itemsFor('ppo', 6);
const configOf = (change: object) =>
  runOf('ppo', { optimizer: { maxGradNorm: 1e9 }, ppo: { numPpoEpochs: 1, vfCoef: 0.7 }, ...change });

/** The gradients of a first update, as the optimizer's first moments, and its metrics. */
async function firstUpdate(change: object, from?: Record<string, Float32Array>) {
  const run = await begin(configOf(change), engine, { ...(from && { from }) });
  const metrics = await run.update(items);
  const { m } = await run.trainer.state();
  await run.trainer.close();
  return { metrics, gradients: m };
}

it("on the policy's trunk, the gradient is the sum of those of a policy and a value model with equal trunks", async () => {
  const apart = initialParameters(layoutFor('ppo'));
  const head = apart['value.score.weight']!;
  const policy = Object.entries(apart).filter(([name]) => name.startsWith('policy.'));
  const equal = Object.fromEntries([
    ...policy,
    ...policy.map(([name, values]) => [name.replace('policy.', 'value.'), values] as const),
    ['value.score.weight', head] as const,
  ]);
  const two = await firstUpdate({}, equal);
  const one = await firstUpdate(
    { value: 'shared' },
    { ...Object.fromEntries(policy), 'value.score.weight': head },
  );
  const { grad_norm: _, ...metrics } = two.metrics;
  for (const [name, value] of Object.entries(metrics)) expect(one.metrics[name]).toBeCloseTo(value, 4);
  expect(Object.keys(one.gradients)).toHaveLength(policy.length + 1);
  let fromValue = 0;
  for (const [name, gradient] of Object.entries(one.gradients)) {
    const ofValue = two.gradients[name.replace('policy.', 'value.')];
    const ofPolicy = name.startsWith('policy.') ? two.gradients[name]! : new Float32Array(gradient.length);
    const expected = Array.from(ofPolicy, (g, i) => g + (ofValue ? ofValue[i]! : 0));
    if (/attn|mlp|wte/.test(name) && !/bias/.test(name))
      expect(distance(expected, gradient), name).toBeLessThan(1e-3);
    fromValue = Math.max(fromValue, distance(ofPolicy, gradient));
  }
  expect(fromValue).toBeGreaterThan(0.05);
});
