import { cpuEngine, type Engine, float32, onnxPool } from '@rlhf-streams/tensor';
import * as tf from '@tensorflow/tfjs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  begin,
  bitsOf,
  distance,
  initialState,
  itemsFor,
  language,
  layoutFor,
  runOf,
  trainingMethods,
} from '../tiny.test.support.js';
import { decayMask, layoutOf } from './layout.js';
import type { LossProgram, MicroBatch } from './program.js';
import { createTrainer } from './trainer.js';

/** Pools of 1, 2 and 3 workers. */
let pools: Engine[];
let pool: Engine;
beforeAll(() => {
  pools = [1, 2, 3].map((workers) => onnxPool({ workers }));
  pool = pools[1]!;
});
afterAll(() => Promise.all(pools.map((each) => each.close())));

describe('workers', () => {
  it.each(trainingMethods)('%s: 1, 2 and 3 of them end in the same bits', async (method) => {
    const config = runOf(method, {
      microBatchSize: 2,
      ...(method === 'ppo' && { ppo: { numPpoEpochs: 2 } }),
    });
    const batches = [1, 2, 1].map((seed) => itemsFor(method, 7, seed));
    const ends = [];
    for (const [i, engine] of pools.entries()) {
      const run = await begin(config, engine, { lanes: i + 1 });
      const metrics = [];
      for (const batch of batches) metrics.push(await run.update(batch));
      ends.push({ metrics, state: bitsOf(run) });
      await run.trainer.close();
    }
    expect(ends[0]!.state.updates).toBeGreaterThanOrEqual(3);
    expect(ends[1]).toEqual(ends[0]);
    expect(ends[2]).toEqual(ends[0]);
  });
});

describe('micro-batches', () => {
  it.each(trainingMethods)(
    '%s: a batch cut into any, with filler rows or without, is the same update',
    async (method) => {
      const items = itemsFor(method, 7);
      const updates = [];
      for (const microBatchSize of [7, 8, 4, 2, 1]) {
        const run = await begin(
          runOf(method, { microBatchSize, ...(method === 'ppo' && { ppo: { numPpoEpochs: 1 } }) }),
          pool,
          {
            lanes: 2,
          },
        );
        const metrics = await run.update(items);
        // Adam's first moments are the clipped gradient, but for a factor.
        updates.push({ metrics, gradient: Float32Array.from(run.trainer.state().m) });
        await run.trainer.close();
      }
      const [whole, ...cut] = updates;
      for (const { metrics, gradient } of cut) {
        expect(distance(whole!.gradient, gradient)).toBeLessThan(1e-5);
        for (const [name, value] of Object.entries(whole!.metrics))
          expect(metrics[name], name).toBeCloseTo(value, 4);
      }
    },
  );

  it.each(trainingMethods)('%s: cost what their items cost, however many they might hold', async (method) => {
    const items = itemsFor(method, 8);
    const ends = [];
    for (const microBatchSize of [8, 4096]) {
      const rows = new Set<number>();
      const engine: Engine = {
        ...pool,
        compile(program, specs) {
          rows.add(specs.ids!.shape[0]!);
          return pool.compile(program, specs);
        },
      };
      const run = await begin(runOf(method, { microBatchSize }), engine, { lanes: 2 });
      const said = [await run.update(items), method === 'ppo' ? {} : await run.evaluate(items.slice(0, 3))];
      ends.push({ said, rows, bits: bitsOf(run) });
      await run.trainer.close();
    }
    const sequences = method === 'reward' || method === 'dpo' ? 2 : 1;
    const expected = method === 'ppo' ? [8] : [8, 4].map((rows) => rows * sequences);
    expect([...ends[0]!.rows]).toEqual(expected);
    expect(ends[1]).toEqual(ends[0]);
  });

  it('of one size are the same update to the bit, however often it is computed', async () => {
    const ends = [];
    for (let time = 0; time < 2; time++) {
      const run = await begin(runOf('dpo', { microBatchSize: 2 }), pool, { lanes: 2 });
      await run.update(itemsFor('dpo', 5));
      ends.push(bitsOf(run));
      await run.trainer.close();
    }
    expect(ends[1]).toEqual(ends[0]);
  });
});

/** A trainer whose gradient is the batch's `slope` for every parameter, in micro-batches of one row. */
async function withSlope(optimizer: object = {}) {
  const config = runOf('sft', { optimizer: { learningRate: 0.1, ...optimizer } });
  const layout = layoutFor('sft');
  const from = initialState(layout);
  const trainer = await createTrainer({
    engine: cpuEngine(),
    lanes: 1,
    layout,
    optimizer: config.optimizer,
    from,
  });
  const slopes: LossProgram = {
    key: 'slope',
    loss: ({ policy }, { slope }, normaliser) => {
      const sums = Object.values(policy).map((tensor) => tf.sum(tensor));
      const loss = tf.div(tf.mul(tf.addN(sums), tf.sum(slope!)), normaliser) as tf.Scalar;
      return { loss, stats: { slope: tf.div(tf.sum(slope!), normaliser) } };
    },
  };
  const batch = (slope: number): MicroBatch => ({
    specs: { slope: float32(1) },
    buffers: { slope: Float32Array.of(slope) },
  });
  const update = (...values: number[]) =>
    trainer.update(slopes, values.map(batch), { normaliser: values.length, learningRate: 0.1 });
  return { layout, from, trainer, slopes, batch, update };
}

describe('an update', () => {
  it('is AdamW on the sum of the micro-batches over the normaliser', async () => {
    const { from, trainer, update } = await withSlope({ maxGradNorm: 1e9 });
    const { slope, gradNorm } = await update(1, 2, 6);
    expect(slope).toBeCloseTo(3, 6);
    expect(gradNorm).toBeCloseTo(3 * Math.sqrt(from.p.length), 2);
    const { p, m, v, updates } = trainer.state();
    expect(updates).toBe(1);
    expect(m[5]).toBeCloseTo(0.1 * 3, 6);
    expect(v[5]).toBeCloseTo(0.001 * 9, 6);
    expect(p[5]).toBeCloseTo(from.p[5]! - 0.1, 6);
    await trainer.close();
  });

  it('clips the gradient by its norm over all parameters, and reports the norm before', async () => {
    const { from, trainer, update } = await withSlope({ maxGradNorm: 0.5 });
    const { gradNorm } = await update(2);
    expect(gradNorm).toBeCloseTo(2 * Math.sqrt(from.p.length), 2);
    const clipped = trainer.state().m.map((x) => x / 0.1);
    expect(Math.sqrt(clipped.reduce((sum, x) => sum + x * x, 0))).toBeCloseTo(0.5, 5);
    await trainer.close();
  });

  it('decays weights but neither biases nor layer norms', async () => {
    const { layout, from, trainer, update } = await withSlope({ weightDecay: 0.5 });
    await update(0);
    const before = layout.views(from.p);
    for (const [name, after] of Object.entries(layout.views(trainer.state().p))) {
      const decays = /(wte|wpe|c_attn|c_proj|c_fc)\.weight$/.test(name);
      const expected = before[name]!.map((x) => x * (decays ? 1 - 0.1 * 0.5 : 1));
      expect(distance(expected, after), name).toBeLessThan(1e-6);
    }
    await trainer.close();
  });

  it('by a gradient of exactly 0 moves nothing', async () => {
    const { from, trainer, update } = await withSlope();
    const before = bitsOf({ trainer });
    const { gradNorm } = await update(0, 0);
    expect(gradNorm).toBe(0);
    expect(bitsOf({ trainer })).toEqual({ ...before, updates: 1 });
    expect(trainer.state().p).toEqual(from.p);
    await trainer.close();
  });

  it('by a gradient that is not finite is refused, and changes nothing', async () => {
    const { trainer, update } = await withSlope();
    await update(1);
    const before = bitsOf({ trainer });
    await expect(update(Number.POSITIVE_INFINITY)).rejects.toMatchObject({ code: 'ALIGNMENT_NOT_FINITE' });
    expect(bitsOf({ trainer })).toEqual(before);
    await trainer.close();
  });

  it('leaves the state it was made from to its caller', async () => {
    const { from, trainer, update } = await withSlope();
    const { p } = from;
    const copy = p.slice();
    await update(1);
    expect(p).toEqual(copy);
    await trainer.close();
  });

  it('is not made by an evaluation', async () => {
    const { trainer, slopes, batch } = await withSlope();
    const before = bitsOf({ trainer });
    expect(await trainer.evaluate(slopes, [batch(1), batch(3)], 2)).toMatchObject({ slope: 2 });
    expect(bitsOf({ trainer })).toEqual(before);
    await trainer.close();
  });
});

describe('the layout', () => {
  it('holds every tensor of every role once, in one vector', () => {
    const layout = layoutFor('ppo');
    const vector = new Float32Array(layout.size);
    const views = layout.views(vector);
    expect(Object.keys(views)).toEqual(Object.keys(layout.specs));
    for (const view of Object.values(views)) for (let i = 0; i < view.length; i++) view[i]! += 1;
    expect(vector.every((x) => x === 1)).toBe(true);
    expect(Object.keys(layout.views(vector, 'm.'))[0]).toBe('m.policy.wte.weight');
    expect(views['value.score.weight']).toHaveLength(language.width);
  });

  it('names an untied head of the policy apart', () => {
    const untied = layoutOf({ policy: { ...language, tieWordEmbeddings: false } });
    expect(untied.specs['policy.lm_head.weight']).toEqual(float32(language.vocabSize, language.width));
  });

  it('marks for weight decay what is no bias and no norm', () => {
    const layout = layoutFor('reward');
    const marked = Object.entries(layout.views(decayMask(layout))).flatMap(([name, view]) =>
      view.every((x) => x === 1) ? [name] : [],
    );
    expect(marked).toEqual([
      'reward.wte.weight',
      'reward.wpe.weight',
      'reward.h.0.attn.c_attn.weight',
      'reward.h.0.attn.c_proj.weight',
      'reward.h.0.mlp.c_fc.weight',
      'reward.h.0.mlp.c_proj.weight',
      'reward.score.weight',
    ]);
  });
});
