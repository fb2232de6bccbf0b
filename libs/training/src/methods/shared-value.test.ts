import type { RunConfig } from '@rlhf-streams/runs';
import { type Engine, onnxPool } from '@rlhf-streams/tensor';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { begin, distance, initialParameters, itemsFor, layoutFor, runOf } from '../tiny.test.support.js';

let engine: Engine;
beforeAll(() => {
  engine = onnxPool({ workers: 1 });
});
afterAll(() => engine.close());

const items = itemsFor('ppo', 6);
const unclipped = { optimizer: { maxGradNorm: 1e9 } };
const configs = {
  ppo: (value?: 'shared') => runOf('ppo', { ...unclipped, value, ppo: { numPpoEpochs: 1, vfCoef: 0.7 } }),
  reinforce: (value?: 'shared') =>
    runOf('reinforce', { ...unclipped, value, reinforce: { baseline: 'value', vfCoef: 0.7 } }),
};

/** The gradients of a first update, as the optimizer's first moments, and its metrics. */
async function firstUpdate(config: RunConfig, from: Record<string, Float32Array>) {
  const run = await begin(config, engine, { from });
  const metrics = await run.update(items);
  const { m } = await run.trainer.state();
  await run.trainer.close();
  return { metrics, gradients: m };
}

it.each(['ppo', 'reinforce'] as const)(
  'of %s, the gradient of the trunk is the sum of those of two models with equal trunks',
  async (method) => {
    const apart = initialParameters(layoutFor('ppo'));
    const head = apart['value.score.weight']!;
    const policy = Object.entries(apart).filter(([name]) => name.startsWith('policy.'));
    const equal = Object.fromEntries([
      ...policy,
      ...policy.map(([name, values]) => [name.replace('policy.', 'value.'), values] as const),
      ['value.score.weight', head] as const,
    ]);
    const two = await firstUpdate(configs[method](), equal);
    const one = await firstUpdate(configs[method]('shared'), {
      ...Object.fromEntries(policy),
      'value.score.weight': head,
    });
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
  },
);
