/** Runs that train adapters. */
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  describeModel,
  initialiseWeights,
  type ModelConfig,
  mergeAdapter,
  readAdapter,
  readCheckpoint,
  readSafetensors,
  trainByteLevelBpe,
  type WeightTensor,
  writeCheckpoint,
} from '@rlhf-streams/model';
import { type RunConfig, specOf } from '@rlhf-streams/runs';
import { type Buffers, type Engine, onnxPool } from '@rlhf-streams/tensor';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openSession, type SessionOptions } from './session.js';
import {
  begin,
  demonstrationItem,
  distance,
  frozenParameters,
  initialParameters,
  itemsFor,
  language,
  layoutOfRun,
  runOf,
  scalar,
  trainingMethods,
} from './tiny.test.support.js';

let engine: Engine;
let one: Engine;
let root: string;
let base: string;
let folders = 0;
const fresh = () => join(root, `folder-${folders++}`);

beforeAll(async () => {
  engine = onnxPool({ workers: 2 });
  one = onnxPool({ workers: 1 });
  root = await mkdtemp(join(tmpdir(), 'peft-'));
  base = await modelOf(language, 1);
});
afterAll(async () => {
  await Promise.all([engine.close(), one.close()]);
  await rm(root, { recursive: true });
});

async function modelOf(config: ModelConfig, seed: number): Promise<string> {
  const directory = fresh();
  const tensors = initialiseWeights(config, seed);
  tensors.get('score.weight')?.data.forEach((_, i, head) => {
    head[i] = Math.sin(i);
  });
  const tokenizer = trainByteLevelBpe(['a b'], { vocabSize: 300 });
  await writeCheckpoint(directory, { config, tensors, tokenizer });
  return directory;
}

const peft = { r: 3, alpha: 5, rslora: true };
const open = (config: RunConfig, more: Partial<SessionOptions> = {}) =>
  openSession({ config, models: { policy: { base } }, engine, workers: 2, ...more });

const filesOf = async (directory: string) =>
  Object.fromEntries(
    await Promise.all(
      (await readdir(directory))
        .sort()
        .map(async (name) => [name, (await readFile(join(directory, name))).toString('base64')]),
    ),
  );

/** Runs of every method, and of those that may have a value head on the policy's trunk, with one. */
const runs = [
  ...trainingMethods.map((method) => [method, method, {}] as const),
  ['ppo', 'ppo with a shared trunk', { value: 'shared' }] as const,
];
/** One update a step, so that moments are those of one gradient. */
const settingsOf = (method: string): object => {
  if (method === 'ppo') return { ppo: { numPpoEpochs: 1 } };
  return method === 'trpo' ? { trpo: { numValueEpochs: 1 } } : {};
};

describe.each(runs)('%s: %s', (method, _, change) => {
  it('has for A and B the gradient of W + scale B A', async () => {
    const optimizer = { maxGradNorm: 1e9 };
    const settings = { ...settingsOf(method), ...change, optimizer };
    const config = runOf(method, { ...settings, peft: { ...peft, modulesToSave: ['ln_f'] } });
    const layout = layoutOfRun(config);
    const from = initialParameters(layout);
    const all: Buffers = { ...from, ...frozenParameters(layout) };
    const whole: Record<string, Float32Array> = {};
    for (const role of specOf(config).trains.map(({ role }) => role)) {
      const model = layout.models[role]!;
      const tensors = new Map(
        [...layout.namesOf(role)].map(([name, full]) => {
          const { spec } = layout.tensors.get(full)!;
          return [name, { shape: spec.shape, data: all[full] as Float32Array }] as const;
        }),
      );
      const merged = mergeAdapter(model, tensors, tensors).tensors;
      for (const [name, full] of layoutOfRun(runOf(method, settings)).namesOf(role))
        whole[full] ??= merged.get(name)!.data;
    }

    const items = itemsFor(method, 4);
    const gradients = async (of: RunConfig, start: Buffers) => {
      const run = await begin(of, engine, { from: start });
      const metrics = await run.update(items);
      const { m } = await run.trainer.state();
      await run.trainer.close();
      return { metrics, m };
    };
    const [adapted, full] = [await gradients(config, from), await gradients(runOf(method, settings), whole)];
    const scale = 5 / Math.sqrt(3);
    let largest = 0;
    let compared = 0;
    for (const [name, gradient] of Object.entries(adapted.m)) {
      const [, module, letter] = /^(.*)\.lora_(A|B)\.weight$/.exec(name) ?? [];
      if (!module) {
        expect(distance(full.m[name]!, gradient), name).toBeLessThan(1e-3);
        continue;
      }
      const { shape } = layout.trained[name]!;
      const other = name.replace(`lora_${letter}`, letter === 'A' ? 'lora_B' : 'lora_A');
      const [A, B] = letter === 'A' ? [all[name]!, all[other]!] : [all[other]!, all[name]!];
      const G = full.m[`${module}.weight`]!; // [from, to]
      const [to, fromSize] = [B.length / 3, A.length / 3];
      const expected = Float64Array.from({ length: shape[0]! * shape[1]! }, (_, at) => {
        const [i, j] = [Math.floor(at / shape[1]!), at % shape[1]!];
        let sum = 0;
        // dL/dA = scale B^T G^T, dL/dB = scale G^T A^T.
        if (letter === 'A') for (let o = 0; o < to; o++) sum += B[o * 3 + i]! * G[j * to + o]!;
        else for (let x = 0; x < fromSize; x++) sum += G[x * to + i]! * A[j * fromSize + x]!;
        return scale * sum;
      });
      largest = Math.max(largest, ...expected.map(Math.abs));
      expect(Math.max(...expected.map((value, i) => Math.abs(value - gradient[i]!))) / largest).toBeLessThan(
        1e-3,
      );
      compared++;
    }
    expect(compared).toBe(
      8 * Object.keys(adapted.m).filter((name) => name.includes('0.mlp.c_fc.lora_A')).length,
    );
    expect(compared).toBeGreaterThan(0);
    expect(largest).toBeGreaterThan(1e-6);
    for (const [name, value] of Object.entries(full.metrics)) {
      // A line search along A and B ends elsewhere than one along W.
      if (name === 'grad_norm' || (method === 'trpo' && /^(policy|cg)\//.test(name))) continue;
      expect(adapted.metrics[name], name).toBeCloseTo(value, 3);
    }
    if (method === 'trpo') {
      expect(adapted.metrics['policy/accepted']).toBe(1);
      expect(adapted.metrics['policy/surrogate_improvement']).toBeGreaterThan(0);
    }
  });

  it('goes on from a checkpoint of adapters, on any number of workers, to the same bits; and publishes an adapter', async () => {
    const config = runOf(method, {
      ...settingsOf(method),
      ...change,
      peft,
      optimizer: { schedule: 'cosine', weightDecay: 0.1, learningRate: 0.05 },
    });
    const batches = [1, 2, 3].map((seed) => itemsFor(method, 4, seed));
    const { session: straight } = await open(config);
    const expected = [];
    for (const batch of batches) expected.push(await straight.update(batch));
    const [end, published] = [fresh(), fresh()];
    await straight.saveCheckpoint(end, { rollouts: [1] });
    await straight.savePublished(published);
    const parameters = await straight.parameters();
    await straight.close();

    const { session: before } = await open(config, { engine: one });
    const came = [await before.update(batches[0]!)];
    const stopped = fresh();
    await before.saveCheckpoint(stopped, {});
    await before.close();
    const { session: after } = await open(config, { engine: one, checkpoint: stopped });
    for (const batch of batches.slice(1)) came.push(await after.update(batch));
    const resumed = fresh();
    await after.saveCheckpoint(resumed, { rollouts: [1] });
    await after.close();
    expect(came).toEqual(expected);
    expect(await filesOf(resumed)).toEqual(await filesOf(end));

    const { tensors: kept } = await readSafetensors(join(end, 'parameters.safetensors'));
    for (const name of kept.keys())
      expect(name).toMatch(/lora_[AB]\.weight$|^(value|reward)\.score\.weight$/);
    const described = await describeModel({ base, adapter: published });
    expect(described.config.adapter).toMatchObject({ rank: 3, alpha: 5, rslora: true });
    expect(described.baseName).toBe(base);
    expect(described.tokenizer).toBeDefined();
    const { tensors } = await readAdapter(published, described.base);
    expect(Object.fromEntries([...tensors].map(([name, { data }]) => [name, data]))).toEqual(parameters);
    const moved = [...tensors].filter(([name]) => name.endsWith('lora_B.weight'));
    expect(moved.length).toBe(4);
    for (const [name, { data }] of moved)
      expect(
        data.some((x) => x !== 0),
        name,
      ).toBe(true);
  });
});

const numbers = (tensors: ReadonlyMap<string, WeightTensor>) =>
  Object.fromEntries([...tensors].map(([name, { data }]) => [name, data]));

describe('a run that starts from an adapter', () => {
  /** An adapter that a run of SFT has trained. */
  async function trained(): Promise<string> {
    const { session } = await open(runOf('sft', { peft, optimizer: { learningRate: 0.05 } }));
    await session.update(itemsFor('sft', 4));
    const adapter = fresh();
    await session.savePublished(adapter);
    await session.close();
    return adapter;
  }

  it('goes on with it: as a policy, as a reward model with a new head, and as a value model', async () => {
    const adapter = await trained();
    const { config, tensors } = await readAdapter(adapter, language);
    const policy = { base, adapter };
    const { session } = await open(runOf('dpo', { peft: {} }), { models: { policy } });
    expect(await session.parameters()).toEqual(numbers(tensors));
    await session.close();

    const { session: reward } = await open(runOf('reward', { peft: {} }), { models: { policy } });
    const { 'score.weight': head, ...ofAdapter } = await reward.parameters();
    expect(ofAdapter).toEqual(numbers(tensors));
    expect(head!.every((x) => x === 0)).toBe(true);
    await reward.update(itemsFor('reward', 4));
    const rewarding = fresh();
    await reward.savePublished(rewarding);
    await reward.close();
    const { config: scored } = await readAdapter(rewarding, language);
    expect(scored.head).toEqual({ kind: 'scalar', labels: 1 });
    expect(scored.adapter).toEqual({ ...config.adapter, modulesToSave: ['score'] });

    // A value model has what its reward model had, on the one base of all.
    const value = { base, adapter: rewarding };
    const run = runOf('ppo', { ppo: { numPpoEpochs: 1 }, peft: {} });
    const { session: ppo } = await open(run, { models: { policy, value } });
    const checkpoint = fresh();
    await ppo.saveCheckpoint(checkpoint, {});
    await ppo.update(itemsFor('ppo', 4));
    await ppo.close();
    const { tensors: kept } = await readSafetensors(join(checkpoint, 'parameters.safetensors'));
    const { tensors: ofValue } = await readAdapter(rewarding, language);
    for (const [name, { data }] of ofValue) expect(kept.get(`value.${name}`)!.data).toEqual(data);
    expect(kept.size).toBe(tensors.size + ofValue.size);
  });

  it('is refused with another peft or none, which says what to do', async () => {
    const policy = { base, adapter: await trained() };
    const another = open(runOf('dpo', { peft: { r: 4 } }), { models: { policy } });
    await expect(another).rejects.toMatchObject({
      code: 'MODEL_ADAPTER_CONFIG',
      message:
        'peft: expected that of the adapter which training goes on with (r 3, alpha 5, rslora, on 4 modules: c_attn, c_proj, c_fc), got r 4, alpha 5, rslora, on 4 modules: c_attn, c_proj, c_fc: leave it as it was, with peft: {}; for another adapter, merge it into its base with `rlhf-streams export --merge`, and start from that',
    });
    await expect(open(runOf('dpo'), { models: { policy } })).rejects.toThrow(
      'expected peft, as the model is an adapter (r 3, alpha 5, rslora, on 4 modules: c_attn, c_proj, c_fc): peft: {} trains it further',
    );
    const targets = open(runOf('dpo', { peft: { targetModules: ['q_proj'] } }));
    await expect(targets).rejects.toThrow(
      'peft: expected targetModules to name linear maps of the model, which are c_attn, c_proj, c_fc; got "q_proj"',
    );
  });

  it('trains all weights of a value model that starts from an adapter, where the run has no peft', async () => {
    const adapter = await trained();
    const checkpoint = fresh();
    const { session } = await open(runOf('ppo', { ppo: { numPpoEpochs: 1 } }), {
      models: { policy: { base }, value: { base, adapter } },
    });
    await session.saveCheckpoint(checkpoint, {});
    await session.close();
    const { config, tensors } = await readAdapter(adapter, language);
    const merged = mergeAdapter(config, (await readCheckpoint(base)).tensors, tensors).tensors;
    const { tensors: kept } = await readSafetensors(join(checkpoint, 'parameters.safetensors'));
    const name = 'h.0.mlp.c_fc.weight';
    expect(kept.get(`value.${name}`)!.data).toEqual(merged.get(name)!.data);
    expect(kept.get(`policy.${name}`)!.data).not.toEqual(merged.get(name)!.data);
  });
});

it('a value model on another base than the policy has its own, and starts with the head that it has', async () => {
  const rewardModel = await modelOf(scalar, 2);
  const run = runOf('ppo', { ppo: { numPpoEpochs: 1 }, peft });
  const values = async (value?: string) => {
    const models = { policy: { base }, ...(value && { value: { base: value } }) };
    const { session } = await open(run, { models });
    const { metrics } = await session.update(itemsFor('ppo', 4));
    const checkpoint = fresh();
    await session.saveCheckpoint(checkpoint, {});
    await session.close();
    const { session: again } = await open(run, { models, checkpoint });
    const more = await again.update(itemsFor('ppo', 4, 2));
    await again.close();
    const { tensors } = await readSafetensors(join(checkpoint, 'parameters.safetensors'));
    return { explained: metrics['val/var_explained'], names: [...tensors.keys()], more };
  };
  const [alone, other] = [await values(), await values(rewardModel)];
  expect(alone.explained).toBeCloseTo(0, 6);
  expect(other.explained).not.toBeCloseTo(0, 3);
  expect(other.names).toEqual(alone.names);

  // Without an adapter the same reward model begins with the same values.
  const whole = { ...run, peft: undefined };
  const { session } = await open(whole, { models: { policy: { base }, value: { base: rewardModel } } });
  const { metrics } = await session.update(itemsFor('ppo', 4));
  await session.close();
  expect(other.explained).toBeCloseTo(metrics['val/var_explained']!, 4);
});

it('demonstrations of a reward model set the offset that its adapter goes with', async () => {
  const config = runOf('reward', { peft, demonstrations: 'texts.jsonl' });
  const { session } = await open(config);
  const demonstrations = [demonstrationItem('tiny/0/d', { promptTokens: [0, 1], tokens: [2, 3] })];
  const { metrics } = await session.update(itemsFor('reward', 4), { demonstrations });
  const adapter = fresh();
  await session.savePublished(adapter);
  await session.close();
  const { config: published } = await readAdapter(adapter, language);
  expect(published.head).toEqual({ kind: 'scalar', labels: 1, offset: metrics.score_offset });
  expect(metrics.score_offset).not.toBe(0);
});
