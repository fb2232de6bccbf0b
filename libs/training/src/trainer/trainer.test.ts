import { trainedModel } from '@rlhf-streams/model';
import { specOf } from '@rlhf-streams/runs';
import { cpuEngine, type Engine, type Frozen, float32, onnxPool } from '@rlhf-streams/tensor';
import * as tf from '@tensorflow/tfjs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  begin,
  bitsOf,
  distance,
  initialParameters,
  itemsFor,
  language,
  layoutFor,
  numbersOf,
  runOf,
  scalar,
  trainingMethods,
} from '../tiny.test.support.js';
import { layoutOf } from './layout.js';
import { oneGroup } from './optimizer.js';
import type { LossProgram, MicroBatch } from './program.js';
import { createTrainer, type TrainerOptions } from './trainer.js';

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
      ...(method === 'trpo' && { trpo: { cgIterations: 3 } }),
    });
    const batches = [1, 2, 1].map((seed) => itemsFor(method, 7, seed));
    const ends = [];
    for (const engine of pools) {
      const run = await begin(config, engine);
      const metrics = [];
      for (const batch of batches) metrics.push(await run.update(batch));
      ends.push({ metrics, results: run.results, state: await bitsOf(run) });
      await run.trainer.close();
    }
    expect(ends[0]!.state.updates).toBeGreaterThanOrEqual(3);
    expect(ends[1]).toEqual(ends[0]);
    expect(ends[2]).toEqual(ends[0]);
  });
});

describe('gradient checkpointing', () => {
  const peft = { r: 2, alpha: 4, targetModules: 'all-linear' };
  const cases = [
    ...trainingMethods.map((method) => [method, method, {}] as const),
    ['dpo with an adapter', 'dpo', { peft }] as const,
  ];
  it.each(cases)('%s: is the same update, on any number of workers', async (_, method, settings) => {
    const ends = [];
    for (const [gradientCheckpointing, engine] of [
      [false, pools[0]!],
      [true, pools[0]!],
      [true, pools[1]!],
    ] as const) {
      const run = await begin(
        runOf(method, {
          microBatchSize: 4,
          gradientCheckpointing,
          ...settings,
          ...(method === 'ppo' && { ppo: { numPpoEpochs: 1 } }),
        }),
        engine,
      );
      const metrics = await run.update(itemsFor(method, 5));
      ends.push({ metrics, gradient: numbersOf((await run.trainer.state()).m), state: await bitsOf(run) });
      await run.trainer.close();
    }
    const [kept, again, elsewhere] = ends;
    expect(distance(kept!.gradient, again!.gradient)).toBeLessThan(1e-6);
    for (const [name, value] of Object.entries(kept!.metrics))
      expect(again!.metrics[name], name).toBeCloseTo(value, 5);
    expect(elsewhere!.state).toEqual(again!.state);
  });
});

describe('micro-batches', () => {
  it.each(trainingMethods)(
    '%s: a batch cut into any, with filler rows or without, is the same update',
    async (method) => {
      const items = itemsFor(method, 7);
      const updates = [];
      for (const microBatchSize of [14, 8, 4, 1]) {
        const run = await begin(
          runOf(method, { microBatchSize, ...(method === 'ppo' && { ppo: { numPpoEpochs: 1 } }) }),
          pool,
        );
        const metrics = await run.update(items);
        // Adam's first moments are the clipped gradient, but for a factor.
        updates.push({ metrics, results: run.results!, gradient: numbersOf((await run.trainer.state()).m) });
        await run.trainer.close();
      }
      const [whole, ...cut] = updates;
      for (const { metrics, results, gradient } of cut) {
        expect(distance(whole!.gradient, gradient)).toBeLessThan(1e-5);
        for (const [name, value] of Object.entries(whole!.metrics))
          expect(metrics[name], name).toBeCloseTo(value, 4);
        expect(results.map(({ item }) => item)).toEqual(items.map(({ id }) => id));
        results.forEach((result, i) => {
          for (const [name, value] of Object.entries(whole!.results[i]!))
            if (typeof value !== 'string')
              expect(distance([value].flat(), [result[name] as number | number[]].flat())).toBeLessThan(1e-4);
        });
      }
    },
  );

  it.each(trainingMethods)('%s: cost what their items cost, however many they might hold', async (method) => {
    const items = itemsFor(method, 8);
    const ends = [];
    for (const microBatchSize of [16, 4096]) {
      const rows = new Set<number>();
      const engine: Engine = {
        ...pool,
        async open(state, options) {
          const workspace = await pool.open(state, options);
          return {
            ...workspace,
            run(program, feeds) {
              const ids = /ids\[(\d+)/.exec(program);
              if (ids) rows.add(Number(ids[1]));
              return workspace.run(program, feeds);
            },
          };
        },
      };
      const run = await begin(runOf(method, { microBatchSize }), engine);
      const said = [await run.update(items), await run.evaluate(items.slice(0, 3))];
      ends.push({ said, rows, bits: await bitsOf(run) });
      await run.trainer.close();
    }
    const { data } = specOf(runOf(method));
    // What came with held-out rollouts measures them.
    const computed = data.kind === 'prompts' ? [8] : [8, 4];
    const sequences = data.kind === 'comparisons' ? 2 : 1;
    expect([...ends[0]!.rows]).toEqual(computed.map((rows) => rows * sequences));
    expect(ends[1]).toEqual(ends[0]);
  });

  it('of one size are the same update to the bit, however often it is computed', async () => {
    const ends = [];
    for (let time = 0; time < 2; time++) {
      const run = await begin(runOf('dpo', { microBatchSize: 4 }), pool);
      await run.update(itemsFor('dpo', 5));
      ends.push(await bitsOf(run));
      await run.trainer.close();
    }
    expect(ends[1]).toEqual(ends[0]);
  });
});

/** A trainer whose gradient is the batch's `slope` for every parameter, in micro-batches of one row. */
async function withSlope(optimizer: object = {}, change: Partial<TrainerOptions> = {}) {
  const { optimizer: configured } = runOf('sft', { optimizer: { learningRate: 0.1, ...optimizer } });
  const layout = layoutFor('sft');
  const from = { p: initialParameters(layout) };
  const slopes: LossProgram = {
    roles: ['policy'],
    inputs: ({ rows }) => ({ slope: float32(rows) }),
    loss: ({ policy }, { slope }, normaliser) => {
      const sums = Object.values(policy).map((tensor) => tf.sum(tensor));
      const loss = tf.div(
        tf.mul(
          sums.reduce((a, b) => tf.add(a, b)),
          tf.sum(slope!),
        ),
        normaliser,
      ) as tf.Scalar;
      return { loss, stats: { slope: tf.div(tf.sum(slope!), normaliser) }, outputs: { slopes: slope! } };
    },
  };
  const trainer = await createTrainer({
    engine: cpuEngine(),
    layout,
    groups: oneGroup(layout, configured),
    programs: { gradients: { slopes }, losses: { slopes } },
    shapes: [{ rows: 1, length: 1, tokens: 1 }],
    from,
    ...change,
  });
  const batch = (...slopes: number[]): MicroBatch => ({
    specs: { slope: float32(slopes.length) },
    buffers: { slope: Float32Array.from(slopes) },
  });
  const batches = (values: readonly number[]) => values.map((value) => batch(value));
  const update = (...values: number[]) =>
    trainer.update('slopes', batches(values), { normaliser: values.length, learningRate: 0.1 });
  const evaluate = (...values: number[]) => trainer.evaluate('slopes', batches(values), values.length);
  const size = numbersOf(from.p).length;
  return { layout, from, trainer, batch, batches, update, evaluate, size };
}

describe('an update', () => {
  it('is AdamW on the sum of the micro-batches over the normaliser', async () => {
    const { from, trainer, update, size } = await withSlope({ maxGradNorm: 1e9 });
    const { stats, outputs } = await update(1, 2, 6);
    expect(stats.slope).toBeCloseTo(3, 6);
    expect(stats.gradNorm).toBeCloseTo(3 * Math.sqrt(size), 2);
    expect(outputs.map(({ slopes }) => [...slopes!])).toEqual([[1], [2], [6]]);
    const { p, m, v, updates } = await trainer.state();
    expect(updates).toBe(1);
    const [name] = Object.keys(p) as [string];
    expect(m[name]![5]).toBeCloseTo(0.1 * 3, 6);
    expect(v[name]![5]).toBeCloseTo(0.001 * 9, 6);
    expect(p[name]![5]).toBeCloseTo(from.p[name]![5]! - 0.1, 6);
    await trainer.close();
  });

  it('clips the gradient by its norm over all parameters, and reports the norm before', async () => {
    const { trainer, update, size } = await withSlope({ maxGradNorm: 0.5 });
    const { stats } = await update(2);
    expect(stats.gradNorm).toBeCloseTo(2 * Math.sqrt(size), 2);
    const clipped = numbersOf((await trainer.state()).m).map((x) => x / 0.1);
    expect(Math.hypot(...clipped)).toBeCloseTo(0.5, 5);
    await trainer.close();
  });

  it('decays weights but neither biases nor layer norms', async () => {
    const { from, trainer, update } = await withSlope({ weightDecay: 0.5 });
    await update(0);
    for (const [name, after] of Object.entries((await trainer.state()).p)) {
      const decays = /(wte|wpe|c_attn|c_proj|c_fc)\.weight$/.test(name);
      const expected = from.p[name]!.map((x) => x * (decays ? 1 - 0.1 * 0.5 : 1));
      expect(distance(expected, after), name).toBeLessThan(1e-6);
    }
    await trainer.close();
  });

  it('by a gradient of exactly 0 moves nothing', async () => {
    const { from, trainer, update } = await withSlope();
    const before = await bitsOf({ trainer });
    const { stats } = await update(0, 0);
    expect(stats.gradNorm).toBe(0);
    expect(await bitsOf({ trainer })).toEqual({ ...before, updates: 1 });
    expect((await trainer.state()).p).toEqual(from.p);
    await trainer.close();
  });

  it.each([Number.POSITIVE_INFINITY, Number.NaN])(
    'by a gradient of %d is refused, changes nothing, and is forgotten',
    async (slope) => {
      const [spoilt, straight] = [await withSlope(), await withSlope()];
      for (const { update } of [spoilt, straight]) await update(1);
      const before = await bitsOf(spoilt);
      await expect(spoilt.update(2, slope)).rejects.toMatchObject({ code: 'ALIGNMENT_NOT_FINITE' });
      expect(await bitsOf(spoilt)).toEqual(before);
      for (const { update } of [spoilt, straight]) await update(3);
      expect(await bitsOf(spoilt)).toEqual(await bitsOf(straight));
      for (const { trainer } of [spoilt, straight]) await trainer.close();
    },
  );

  it('is what is accumulated of several batches, then applied', async () => {
    const [apart, once] = [await withSlope(), await withSlope()];
    await apart.trainer.accumulate('slopes', apart.batches([1, 2]), 4);
    await apart.trainer.accumulate('slopes', apart.batches([3, 4]), 4);
    const { stats } = await once.update(1, 2, 3, 4);
    expect(await apart.trainer.apply({ learningRate: 0.1 })).toBe(stats.gradNorm);
    expect(await bitsOf(apart)).toEqual(await bitsOf(once));
    await apart.trainer.accumulate('slopes', apart.batches([1e3]), 1);
    await apart.trainer.clear();
    for (const { update } of [apart, once]) await update(1);
    expect(await bitsOf(apart)).toEqual(await bitsOf(once));
    for (const { trainer } of [apart, once]) await trainer.close();
  });

  it('leaves what it was made from to its caller', async () => {
    const { from, trainer, update } = await withSlope();
    const copy = structuredClone(from.p);
    await update(1);
    expect(from.p).toEqual(copy);
    await trainer.close();
  });

  it('is not made by an evaluation', async () => {
    const { trainer, evaluate } = await withSlope();
    const before = await bitsOf({ trainer });
    expect((await evaluate(1, 3)).stats).toMatchObject({ slope: 2 });
    expect(await bitsOf({ trainer })).toEqual(before);
    await trainer.close();
  });
});

describe('a program that was not listed', () => {
  it.each([
    ['by its name', 'unheard', [1]],
    ['by its shape', 'slopes', [1, 2]],
  ])('%s is an error that says so, and leaves nothing behind', async (_, program, slopes) => {
    const { trainer, batch } = await withSlope();
    const before = await bitsOf({ trainer });
    const options = { normaliser: 1, learningRate: 0.1 };
    const batches = [batch(1), batch(...slopes)];
    for (const call of [
      trainer.update(program, batches, options),
      trainer.evaluate(program, batches, 1),
      trainer.infer(program, batches),
    ])
      await expect(call).rejects.toMatchObject({
        code: 'TRAINING_PROGRAM_UNKNOWN',
        message: expect.stringContaining(`of ${program}: slope[`),
      });
    await trainer.apply({ learningRate: 0.1 });
    expect(await bitsOf({ trainer })).toEqual({ ...before, updates: 1 });
    await trainer.close();
  });
});

describe('groups of tensors', () => {
  it('have an optimizer each: rates, decay and clipping of their own', async () => {
    const { optimizer } = runOf('sft', { optimizer: { maxGradNorm: 1e9 } });
    const all = Object.keys(layoutFor('sft').trained);
    const norms = all.filter((name) => name.includes('.ln_'));
    const rest = all.filter((name) => !norms.includes(name));
    const groups = [
      { tensors: norms, optimizer },
      { tensors: rest, optimizer: { ...optimizer, maxGradNorm: 0.5 } },
    ];
    const { from, trainer, batches, size } = await withSlope({}, { groups });
    await trainer.accumulate('slopes', batches([2]), 1);
    expect(await trainer.apply({ learningRate: [0.1, 0.01] })).toBeCloseTo(2 * Math.sqrt(size), 2);
    const { p, m } = await trainer.state();
    expect(m[norms[0]!]![0]).toBeCloseTo(0.1 * 2, 6);
    expect(Math.hypot(...rest.flatMap((name) => [...m[name]!])) / 0.1).toBeCloseTo(0.5, 5);
    for (const [name, rate] of [
      [norms[0]!, 0.1],
      [rest[0]!, 0.01],
    ] as const)
      expect(p[name]![0]).toBeCloseTo(from.p[name]![0]! - rate, 4);
    await trainer.close();
  });

  it('leave tensors of no group as they are, without moments', async () => {
    const { optimizer } = runOf('sft');
    const { from, trainer, update } = await withSlope(
      {},
      { groups: [{ tensors: ['policy.wpe.weight'], optimizer }] },
    );
    await update(1);
    const { p, m } = await trainer.state();
    expect(Object.keys(m)).toEqual(['policy.wpe.weight']);
    const moved = Object.keys(p).filter((name) => distance(from.p[name]!, p[name]!) > 0);
    expect(moved).toEqual(['policy.wpe.weight']);
    await trainer.close();
  });
});

describe.each([
  ['cpu', () => cpuEngine()],
  ['a pool', () => pool],
])('a line search on %s', (_, engineOf) => {
  it('tries steps from the snapshot, and takes them back to the bit', async () => {
    const lineSearch = Object.keys(layoutFor('sft').trained);
    const search = await withSlope({}, { engine: engineOf(), lineSearch });
    const { from, trainer, batches, evaluate } = search;
    // One update, so that moments are there which must stay.
    await search.update(1);
    const before = await bitsOf({ trainer });
    const start = (await evaluate(1)).stats.loss!;
    await trainer.accumulate('slopes', batches([1]), 1);
    await trainer.lineSearch.direct(await trainer.lineSearch.takeGradient());
    await trainer.lineSearch.snapshot();
    const tried: number[] = [];
    // The loss is linear with slope 1 for every number: a step of -a takes it down by a each.
    for (let step = 8; step > 0.5; step /= 2) {
      await trainer.lineSearch.propose(-step);
      tried.push(start - (await evaluate(1)).stats.loss!);
    }
    const { size } = search;
    tried.forEach((drop, i) => {
      expect(drop / (size * 8 * 0.5 ** i)).toBeCloseTo(1, 3);
    });
    expect(await bitsOf({ trainer })).not.toEqual(before);
    await trainer.lineSearch.restore();
    expect(await bitsOf({ trainer })).toEqual(before);

    await trainer.lineSearch.propose(-1);
    const kept = await trainer.state();
    const name = Object.keys(from.p)[0]!;
    const expected = new Float32Array(before.p[name]!.buffer).map((x) => x - 1);
    expect(kept.p[name]).toEqual(expected);
    await trainer.close();
  });
});

it('memory for a line search is there when it is asked for', async () => {
  const { trainer } = await withSlope();
  await expect(trainer.lineSearch.snapshot()).rejects.toMatchObject({ code: 'TENSOR_UNKNOWN_PROGRAM' });
  await trainer.close();
});

describe('the layout', () => {
  it('holds every tensor of every role once', () => {
    const layout = layoutFor('ppo');
    const names = Object.keys(layout.trained);
    expect(names).toEqual([...layout.tensors.keys()]);
    expect(names[0]).toBe('policy.wte.weight');
    expect(names.at(-1)).toBe('value.score.weight');
    expect([...layout.namesOf('policy').values(), ...layout.namesOf('value').values()]).toEqual(names);
    expect(layout.trained['value.score.weight']).toEqual(float32(1, language.width));
  });

  it('names an untied head of the policy apart', () => {
    const untied = layoutOf({ policy: { ...language, tieWordEmbeddings: false } });
    expect(untied.trained['policy.lm_head.weight']).toEqual(float32(language.vocabSize, language.width));
  });

  it('marks for weight decay what is no bias and no norm', () => {
    const marked = [...layoutFor('reward').tensors].flatMap(([name, { decay }]) => (decay ? [name] : []));
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

describe('a policy and a value model on one trunk', () => {
  const shared = layoutOf({ policy: language, value: scalar }, { trunks: { value: 'policy' } });
  const items = () => itemsFor('ppo', 6);

  it('are the trunk once and a head each', () => {
    const [policy, value] = [shared.namesOf('policy'), shared.namesOf('value')];
    expect(value.get('wte.weight')).toBe('policy.wte.weight');
    expect([...shared.tensors.keys()]).toEqual([...policy.values(), 'value.score.weight']);
  });

  it('learn together: the trunk by the gradients of both', async () => {
    const config = runOf('ppo', { ppo: { numPpoEpochs: 1, vfCoef: 0.5 }, optimizer: { maxGradNorm: 1e9 } });
    const gradients = async (vfCoef: number, layout = shared) => {
      const run = await begin({ ...config, ppo: { ...config.ppo, vfCoef } }, pool, { layout });
      await run.update(items());
      const { m } = await run.trainer.state();
      await run.trainer.close();
      return m;
    };
    const [both, alone] = [await gradients(0.5), await gradients(0)];
    expect(Object.keys(both)).toEqual([...shared.tensors.keys()]);
    expect(numbersOf(alone, 'value').every((x) => x === 0)).toBe(true);
    expect(distance(numbersOf(both, 'policy'), numbersOf(alone, 'policy'))).toBeGreaterThan(0.01);
    // With trunks of the same numbers apart, the gradients of the two trunks are the parts of the shared one's.
    const apart = layoutOf({ policy: language, value: scalar });
    const p = initialParameters(shared);
    const run = await begin({ ...config, ppo: { ...config.ppo, vfCoef: 0.5 } }, pool, {
      layout: apart,
      from: Object.fromEntries(
        (['policy', 'value'] as const).flatMap((role) =>
          [...apart.namesOf(role)].map(([name, full]) => [full, p[shared.namesOf(role).get(name)!]!]),
        ),
      ),
    });
    await run.update(items());
    const { m } = await run.trainer.state();
    const sum = [...shared.namesOf('policy')].flatMap(([name, full]) =>
      [...m[full]!].map((x, i) => x + m[apart.namesOf('value').get(name)!]![i]!),
    );
    expect(distance(numbersOf(both, 'policy'), sum)).toBeLessThan(1e-4);
    await run.trainer.close();
  });
});

it('frozen tensors are read, and neither trained nor kept', async () => {
  const peft = { r: 2, targetModules: ['c_attn'] };
  const frozen = layoutOf(
    {
      policy: trainedModel(language, { head: 'language', peft, isPublished: true }),
      value: trainedModel(language, { head: 'scalar', peft, isPublished: false }),
    },
    { trunks: { value: 'policy' } },
  );
  const trained = ['h.0.attn.c_attn.lora_A.weight', 'h.0.attn.c_attn.lora_B.weight'];
  const names = [...trained.map((name) => `policy.${name}`), 'value.score.weight'];
  expect(Object.keys(frozen.trained)).toEqual(names);
  const { 'value.score.weight': head, ...own } = initialParameters(frozen);
  const values = Object.fromEntries(
    Object.entries(initialParameters(layoutOf({ policy: language }))).map(([name, data]) => [
      name.replace('policy.', 'base.'),
      data,
    ]),
  );
  const program: LossProgram = {
    roles: ['value'],
    inputs: ({ rows }) => ({ x: float32(rows) }),
    loss: ({ value }, { x }, normaliser) => {
      const read = tf.sum(tf.mul(value['score.weight']!, tf.slice(value['wte.weight']!, [3, 0], [1, -1])));
      const [a, b] = trained.map((name) => tf.sum(value[name]!)) as [tf.Tensor, tf.Tensor];
      const sum = tf.add(read, tf.mul(a, b));
      return { loss: tf.div(tf.mul(sum, tf.sum(x!)), normaliser) as tf.Scalar, stats: {} };
    },
  };
  const ends = [];
  for (const engine of [cpuEngine(), pool]) {
    const trainer = await createTrainer({
      engine,
      layout: frozen,
      groups: oneGroup(frozen, runOf('sft').optimizer),
      programs: { gradients: { program } },
      shapes: [{ rows: 1, length: 1, tokens: 1 }],
      from: { p: { ...own, 'value.score.weight': head! } },
      frozen: { hash: 'trunk', values } satisfies Frozen,
    });
    const batch = { specs: { x: float32(1) }, buffers: { x: Float32Array.of(2) } };
    const { stats } = await trainer.update('program', [batch], { normaliser: 1, learningRate: 0.1 });
    const row = values['base.wte.weight']!.subarray(3 * language.width, 4 * language.width);
    const sum = (name: string) => own[`policy.${name}`]!.reduce((sum, x) => sum + x, 0);
    const [a, b] = trained.map(sum) as [number, number];
    const sizes = trained.map((name) => own[`policy.${name}`]!.length) as [number, number];
    const ofAdapter = Math.hypot(b * Math.sqrt(sizes[0]), a * Math.sqrt(sizes[1]));
    expect(stats.gradNorm).toBeCloseTo(2 * Math.hypot(...row, ofAdapter), 3);
    const { p, m } = await trainer.state();
    expect([Object.keys(p), Object.keys(m)]).toEqual([names, names]);
    expect(Object.keys(await trainer.parameters('policy'))).toEqual(trained);
    ends.push(p['value.score.weight']!);
    await trainer.close();
  }
  expect(distance(ends[0]!, ends[1]!)).toBeLessThan(1e-6);
  expect(distance(head!, ends[1]!)).toBeGreaterThan(0.01);
});
