import { ktoLoss, mismatchedKl } from '@rlhf-streams/alignment';
import type { Item } from '@rlhf-streams/runs';
import { type Engine, onnxPool } from '@rlhf-streams/tensor';
import * as tf from '@tensorflow/tfjs';
import { afterAll, beforeAll, expect, it } from 'vitest';
import {
  begin,
  bitsOf,
  distance,
  initialParameters,
  itemsFor,
  layoutFor,
  logprobsOf,
  numbersOf,
  runOf,
  type TinyRun,
  thumbItem,
  tokenSource,
} from '../tiny.test.support.js';

let pool: Engine;
beforeAll(() => {
  pool = onnxPool({ workers: 2 });
});
afterAll(() => pool.close());

const SETTINGS = { kto: { beta: 0.3, desirableWeight: 1.5, undesirableWeight: 0.8 } };
const sum = (values: readonly number[]) => values.reduce((a, b) => a + b, 0);
const logratios = (logprobs: readonly (readonly number[])[], reference: readonly (readonly number[])[]) =>
  logprobs.map((row, i) => sum(row) - sum(reference[i]!));

/** Thumbs whose mismatched completions the policy finds likelier than the reference does, so that their KL is above 0. */
const thumbsFor = (count: number): Item[] =>
  itemsFor('kto', count).map(({ reference, ...item }) => {
    const [own, mismatched] = reference!.logprobs;
    return { ...item, reference: { ...reference!, logprobs: [own!, mismatched!.map((lp) => lp - 1)] } };
  });

/** What a step's losses are made of, by the weights before it. */
async function partsOf({ trainer }: TinyRun, items: readonly Item[]) {
  const thumbs = items.map(({ thumb }) => thumb!);
  const references = (row: number) => items.map(({ reference }) => reference!.logprobs[row]!);
  const own = await logprobsOf(trainer, thumbs);
  const mismatched = await logprobsOf(
    trainer,
    thumbs.map(({ promptTokens, mismatched: tokens }) => ({ promptTokens, tokens })),
  );
  return {
    labels: thumbs.map(({ label }) => Number(label)),
    logps: own.map(sum),
    logratios: logratios(own, references(0)),
    kl: mismatchedKl(logratios(mismatched, references(1))),
  };
}

it('a step is one update by the loss of its thumbs about the KL of its mismatched completions', async () => {
  const run = await begin(runOf('kto', SETTINGS), pool);
  const items = thumbsFor(5);
  const { labels, logps, logratios: s, kl } = await partsOf(run, items);
  expect(kl).toBeGreaterThan(0.1);
  const metrics = await run.update(items);
  const { loss } = ktoLoss({
    responses: { logps: tf.tensor1d(logps), logratios: tf.tensor1d(s) },
    labels: tf.tensor1d(labels),
    kl,
    ...SETTINGS.kto,
    normaliser: items.length,
  });
  expect(metrics.loss).toBeCloseTo(loss.dataSync()[0]!, 5);
  expect(metrics.kl).toBeCloseTo(kl, 4);
  const mean = (label: number, numbers: readonly number[]) => {
    const own = numbers.filter((_, i) => labels[i] === label);
    return sum(own) / own.length;
  };
  expect(metrics['rewards/chosen']).toBeCloseTo(0.3 * mean(1, s), 4);
  expect(metrics['rewards/rejected']).toBeCloseTo(0.3 * mean(0, s), 4);
  expect(metrics['rewards/margins']).toBeCloseTo(0.3 * (mean(1, s) - mean(0, s)), 4);
  expect(metrics['logps/chosen']).toBeCloseTo(mean(1, logps), 4);
  expect(metrics['logps/rejected']).toBeCloseTo(mean(0, logps), 4);
  expect(metrics).toMatchObject({ 'thumbs/up': 3, 'thumbs/down': 2 });
  run.results!.forEach(({ reward, label }, i) => {
    expect(reward).toBeCloseTo(0.3 * s[i]!, 4);
    expect(label).toBe(labels[i]);
  });
  expect((await run.trainer.state()).updates).toBe(1);
  await run.trainer.close();
});

it('the gradient is that of the loss at a constant KL, by finite differences of two weights', async () => {
  const items = thumbsFor(4);
  const weights = initialParameters(layoutFor('kto'));
  const run = await begin(runOf('kto', SETTINGS), pool, { from: weights });
  const { kl } = await partsOf(run, items);
  await run.update(items);
  const { m } = await run.trainer.state();
  const gradient = numbersOf(m);
  const norm = Math.hypot(...gradient);
  await run.trainer.close();

  const name = Object.keys(weights).find((each) => each.endsWith('wte.weight'))!;
  const slopes: number[] = [];
  const [h, own] = [2e-2, m[name]! as Float32Array];
  const steepest = [...own.keys()].sort((a, b) => Math.abs(own[b]!) - Math.abs(own[a]!)).slice(0, 2);
  for (const index of steepest) {
    const losses = [];
    for (const sign of [1, -1]) {
      const moved = Float32Array.from(weights[name]!);
      moved[index]! += sign * h;
      const other = await begin(runOf('kto', SETTINGS), pool, { from: { ...weights, [name]: moved } });
      const { labels, logps, logratios: s } = await partsOf(other, items);
      const responses = { logps: tf.tensor1d(logps), logratios: tf.tensor1d(s) };
      const options = { labels: tf.tensor1d(labels), kl, ...SETTINGS.kto, normaliser: items.length };
      losses.push(ktoLoss({ responses, ...options }).loss.dataSync()[0]!);
      await other.trainer.close();
    }
    slopes.push((losses[0]! - losses[1]!) / (2 * h));
  }
  const [first, second] = steepest.map((index) => own[index]! / norm);
  expect(slopes[0]! / slopes[1]!).toBeCloseTo(first! / second!, 1);
  expect(Math.sign(slopes[0]!)).toBe(Math.sign(first!));
});

it('micro-batches change nothing, and the number of workers no bit', async () => {
  const items = thumbsFor(7);
  const after = async (microBatchSize: number, engine: Engine) => {
    const run = await begin(runOf('kto', { ...SETTINGS, microBatchSize }), engine);
    const metrics = await run.update(items);
    const end = { metrics, bits: await bitsOf(run), gradient: numbersOf((await run.trainer.state()).m) };
    await run.trainer.close();
    return end;
  };
  const [small, whole] = [await after(2, pool), await after(8, pool)];
  expect(small.metrics.loss).toBeCloseTo(whole.metrics.loss!, 5);
  expect(small.metrics.kl).toBeCloseTo(whole.metrics.kl!, 5);
  expect(distance(whole.gradient, small.gradient)).toBeLessThan(1e-4);
  const one = onnxPool({ workers: 1 });
  expect((await after(2, one)).bits).toEqual(small.bits);
  one.close();
});

it('means over thumbs that a step does not have are left out', async () => {
  const run = await begin(runOf('kto'), pool);
  const up = itemsFor('kto', 6).filter(({ thumb }) => thumb!.label);
  const metrics = await run.evaluate(up);
  expect(Object.values(metrics).every(Number.isFinite)).toBe(true);
  expect(metrics).toMatchObject({ 'eval/thumbs/up': 3, 'eval/thumbs/down': 0 });
  expect(metrics).not.toHaveProperty('eval/rewards/margins');
  expect(await run.evaluate([])).toEqual({});
  await run.trainer.close();
});

it('makes completions like those with a thumb up likelier than those like the others', async () => {
  const [GOOD, BAD] = [7, 11];
  const config = runOf('kto', {
    optimizer: { learningRate: 5e-3, schedule: 'constant' },
    microBatchSize: 8,
  });
  const run = await begin(config, pool);
  const thumbs = async (count: number, seed: number) => {
    const source = tokenSource(seed);
    const rows = Array.from({ length: count }, (_, i) => ({
      promptTokens: [0, ...source.tokens(2)],
      tokens: source.tokens(3).map((token) => (token === GOOD || token === BAD ? 1 : token)),
      label: i % 2 === 0,
    })).map((row) => ({ ...row, tokens: row.tokens.toSpliced(1, 0, row.label ? GOOD : BAD) }));
    const mismatched = rows.map((_, i) => rows[(i + 1) % count]!.tokens);
    const own = await logprobsOf(run.trainer, rows);
    const others = await logprobsOf(
      run.trainer,
      rows.map(({ promptTokens }, i) => ({ promptTokens, tokens: mismatched[i]! })),
    );
    return rows.map((row, i) =>
      thumbItem(`tiny/0/${i}`, row, {
        label: row.label,
        mismatched: mismatched[i]!,
        reference: [own[i]!, others[i]!],
      }),
    );
  };
  const [train, test] = [await thumbs(16, 1), await thumbs(8, 2)];
  const first = await run.update(train);
  expect(first.loss).toBeCloseTo(0.5, 4);
  expect(first.kl).toBeCloseTo(0, 4);
  for (let step = 0; step < 30; step++) await run.update(train);
  expect((await run.evaluate(test))['eval/rewards/margins']).toBeGreaterThan(0.3);
  await run.trainer.close();
});
