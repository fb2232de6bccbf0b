import { readFile } from 'node:fs/promises';
import { type Engine, onnxPool } from '@rlhf-streams/tensor';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { openSession } from '../session.js';
import { comparisonItem, runOf } from '../tiny.test.support.js';

const fixture = (path: string) => new URL(`../../fixtures/${path}`, import.meta.url).pathname;
const model = (name: string) => new URL(`../../../model/fixtures/models/${name}`, import.meta.url).pathname;

interface Logged {
  readonly base: string;
  readonly learning_rate: number;
  /** For each pair the log-probs of the tokens of the chosen and of the rejected completion. */
  readonly reference: readonly (readonly (readonly number[])[])[];
  readonly loss: readonly number[];
  readonly grad_norm: readonly number[];
  readonly 'rewards/margins': readonly number[];
}

let engine: Engine;
beforeAll(() => {
  engine = onnxPool({ workers: 1 });
});
afterAll(() => engine.close());

it.each([
  ['full', 'all weights of a GPT-2'],
  ['lora', 'an adapter on a Llama'],
] as const)('%s: 20 steps of DPO of %s have the losses and gradients of TRL', async (name, _) => {
  const { pairs, steps, batch, ...runs } = JSON.parse(await readFile(fixture('dpo_trl.json'), 'utf8'));
  const logged: Logged = runs[name];
  const config = runOf('dpo', {
    steps,
    batchSize: batch,
    optimizer: { learningRate: logged.learning_rate, weightDecay: 0.01 },
    ...(name === 'lora' && { peft: {} }),
  });
  const adapter = name === 'lora' ? fixture('dpo_trl_adapter') : undefined;
  const { session } = await openSession({
    config,
    models: { policy: { base: model(logged.base), adapter } },
    engine,
  });
  const off = { loss: 0, gradNorm: 0, margin: 0 };
  for (let step = 0; step < steps; step++) {
    const items = Array.from({ length: batch }, (_, i) => {
      const at = (step * batch + i) % pairs.length;
      const { prompt_ids, chosen_ids, rejected_ids } = pairs[at];
      return comparisonItem(`tiny/${step}/${i}`, prompt_ids, [chosen_ids, rejected_ids], {
        reference: logged.reference[at]!,
      });
    });
    const { metrics } = await session.update(items);
    const apart = (name: string, theirs: number) => Math.abs(metrics[name]! - theirs) / Math.max(1, theirs);
    off.loss = Math.max(off.loss, apart('loss', logged.loss[step]!));
    off.gradNorm = Math.max(off.gradNorm, apart('grad_norm', logged.grad_norm[step]!));
    off.margin = Math.max(off.margin, apart('rewards/margins', logged['rewards/margins'][step]!));
  }
  await session.close();
  expect(off.loss).toBeLessThan(1e-5);
  expect(off.gradNorm).toBeLessThan(1e-4);
  expect(off.margin).toBeLessThan(1e-4);
});
