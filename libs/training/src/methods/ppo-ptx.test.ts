import type { Item } from '@rlhf-streams/runs';
import { type Engine, onnxPool } from '@rlhf-streams/tensor';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { begin, bitsOf, distance, itemsFor, numbersOf, runOf } from '../tiny.test.support.js';

let engine: Engine;
beforeAll(() => {
  engine = onnxPool({ workers: 1 });
});
afterAll(() => engine.close());

const ONCE = { numPpoEpochs: 1 };
const rollouts = itemsFor('ppo', 6);
const texts = itemsFor('sft', 5, 2);
const ptxOf = (ppo: object) => runOf('ppo', { pretraining: 'texts', ppo: { ...ONCE, ...ppo } });

/** A run after one step. */
async function after(config: ReturnType<typeof ptxOf>, pretraining?: readonly Item[]) {
  const run = await begin(config, engine);
  const metrics = await run.update(rollouts, { pretraining });
  const [bits, { m }, results] = [await bitsOf(run), await run.trainer.state(), run.results];
  await run.trainer.close();
  return { metrics, results, bits, policy: numbersOf(m, 'policy'), value: numbersOf(m, 'value') };
}

it('with weight 0 is PPO, to the bit', async () => {
  const config = { numPpoEpochs: 2, numMiniBatches: 2 };
  const plain = await after(runOf('ppo', { ppo: config }));
  const ptx = await after(ptxOf({ ...config, ptxCoef: 0 }), texts);
  expect(ptx.bits).toEqual(plain.bits);
  expect(ptx.results).toEqual(plain.results);
  const { 'loss/ptx': loss, ...rest } = ptx.metrics;
  expect(rest).toEqual(plain.metrics);
  expect(loss).toBeGreaterThan(0);
});

it("adds its weight times SFT's gradient on the texts to PPO's, and nothing to the value model's", async () => {
  const unclipped = { optimizer: { maxGradNorm: 1e9 } };
  const sft = await begin(runOf('sft', unclipped), engine);
  const { loss } = await sft.update(texts);
  const gradient = numbersOf((await sft.trainer.state()).m, 'policy');
  await sft.trainer.close();
  const plain = await after(runOf('ppo', { ppo: ONCE, ...unclipped }));
  const ptx = await after(
    runOf('ppo', { pretraining: 'texts', ppo: { ...ONCE, ptxCoef: 0.3 }, ...unclipped }),
    texts,
  );
  const expected = plain.policy.map((g, i) => g + 0.3 * gradient[i]!);
  expect(distance(expected, ptx.policy)).toBeLessThan(1e-4);
  expect(distance(expected, plain.policy)).toBeGreaterThan(0.01);
  expect(ptx.value).toEqual(plain.value);
  expect(ptx.metrics['loss/ptx']).toBeCloseTo(loss!, 5);
});

it('uses every text once in each pass, spread over its mini-batches', async () => {
  const run = await begin(ptxOf({ numPpoEpochs: 2, numMiniBatches: 3, ptxCoef: 1 }), engine);
  const accumulate = vi.spyOn(run.trainer, 'accumulate');
  await run.update(rollouts, { pretraining: texts });
  const calls = accumulate.mock.calls.filter(([program]) => program === 'pretraining');
  const seen = calls.map(([, batches]) =>
    batches.flatMap(({ specs, buffers }) => {
      const [rows, length] = specs.ids!.shape as [number, number];
      const ids = Array.from(buffers.ids as Int32Array);
      return Array.from({ length: rows }, (_, row) => ids.slice(row * length, (row + 1) * length).join(' '))
        .map((text) => text.replace(/( 0)*$/, ''))
        .filter((text) => text !== '0');
    }),
  );
  expect(seen.map((share) => share.length)).toEqual([1, 2, 2, 1, 2, 2]);
  const passes = [seen.slice(0, 3).flat(), seen.slice(3).flat()];
  expect(passes[0]).not.toEqual(passes[1]);
  expect(passes[0]!.toSorted()).toEqual(passes[1]!.toSorted());
  expect(new Set(passes[0]).size).toBe(texts.length);
  expect((await run.trainer.state()).updates).toBe(6);
  await run.trainer.close();
});

it('keeps what PPO alone forgets', async () => {
  const endOf = async (config: ReturnType<typeof ptxOf>, pretraining?: readonly Item[]) => {
    const run = await begin(config, engine);
    for (let step = 0; step < 8; step++) await run.update(rollouts, { pretraining });
    // A weight of 0 measures the texts and changes nothing.
    const from = (await run.trainer.state()).p;
    await run.trainer.close();
    const measured = await begin(ptxOf({ ptxCoef: 0 }), engine, { from });
    const { 'loss/ptx': loss } = await measured.update(rollouts, { pretraining: texts });
    await measured.trainer.close();
    return loss!;
  };
  const [kept, forgot] = [
    await endOf(ptxOf({ ptxCoef: 1 }), texts),
    await endOf(runOf('ppo', { ppo: ONCE })),
  ];
  expect(kept).toBeLessThan(forgot - 0.1);
});
