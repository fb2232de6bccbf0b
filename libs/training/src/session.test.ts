import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  initialiseWeights,
  loadTokenizer,
  type ModelConfig,
  readCheckpoint,
  readSafetensors,
  type TokenizerFiles,
  trainByteLevelBpe,
  writeCheckpoint,
} from '@rlhf-streams/model';
import { parseRunConfig, type RunConfig } from '@rlhf-streams/runs';
import { type Engine, onnxPool } from '@rlhf-streams/tensor';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openSession, type SessionOptions } from './session.js';
import {
  comparisonItem,
  episodeItem,
  itemsFor,
  language,
  runOf,
  scalar,
  trainingMethods,
} from './tiny.test.support.js';

let engine: Engine;
let root: string;
let folders = 0;
const fresh = () => join(root, `folder-${folders++}`);
/** A policy with a tokenizer, and a reward model of its shape. */
let policy: string;
let rewardModel: string;

async function modelOf(
  config: ModelConfig,
  seed: number,
  tokenizer = trainByteLevelBpe(['a b'], { vocabSize: 300 }),
) {
  const directory = fresh();
  const tensors = initialiseWeights(config, seed);
  tensors.get('score.weight')?.data.forEach((_, i, head) => {
    head[i] = Math.sin(i);
  });
  await writeCheckpoint(directory, { config, tensors, tokenizer });
  return directory;
}

beforeAll(async () => {
  engine = onnxPool({ workers: 2 });
  root = await mkdtemp(join(tmpdir(), 'session-'));
  policy = await modelOf(language, 1);
  rewardModel = await modelOf(scalar, 2);
});
afterAll(async () => {
  await engine.close();
  await rm(root, { recursive: true });
});

const open = (config: RunConfig, more: Partial<SessionOptions> = {}) =>
  openSession({
    config,
    models: { policy: { base: policy }, value: { base: rewardModel } },
    engine,
    workers: 2,
    build,
    ...more,
  });
const build = { version: '1.2.3', code: 'c0de', onnxruntime: '1.0.0', platform: 'linux-x64' };

const filesOf = async (directory: string) => {
  const names = (await readdir(directory)).sort();
  return Object.fromEntries(
    await Promise.all(
      names.map(async (name) => [name, (await readFile(join(directory, name))).toString('base64')]),
    ),
  );
};

describe('a checkpoint', () => {
  it.each(trainingMethods)(
    'of a %s run goes on to the same bits as a run that was never stopped',
    async (method) => {
      const config = runOf(method, {
        steps: 4,
        optimizer: { schedule: 'cosine', warmupSteps: 1, weightDecay: 0.1 },
        ...(method === 'ppo' && { ppo: { numPpoEpochs: 2, adaptiveKl: { target: 0.1, horizon: 100 } } }),
      });
      const batches = [1, 2, 3, 4].map((seed) => itemsFor(method, 4, seed));
      const positions = { rollouts: [7, 0, 9], rewards: [1] };

      const { session: straight } = await open(config);
      const expected = [];
      for (const batch of batches) expected.push(await straight.update(batch));
      const end = fresh();
      await straight.saveCheckpoint(end, positions);
      await straight.close();

      const { session: before } = await open(config);
      const metrics = [await before.update(batches[0]!), await before.update(batches[1]!)];
      const stopped = fresh();
      await before.saveCheckpoint(stopped, positions);
      await before.close();
      const { session: after, positions: restored } = await open(config, { checkpoint: stopped });
      expect(after.step).toBe(2);
      expect(restored).toEqual(positions);
      metrics.push(await after.update(batches[2]!), await after.update(batches[3]!));
      const resumed = fresh();
      await after.saveCheckpoint(resumed, positions);
      await after.close();

      expect(metrics).toEqual(expected);
      expect(await filesOf(resumed)).toEqual(await filesOf(end));
      expect(Object.keys(await filesOf(end))).toEqual([
        'moments.safetensors',
        'parameters.safetensors',
        'state.json',
      ]);
    },
  );

  it('of another run is refused', async () => {
    const { session } = await open(runOf('sft'));
    const directory = fresh();
    await session.saveCheckpoint(directory, {});
    await session.close();
    await expect(open(runOf('reward'), { checkpoint: directory })).rejects.toMatchObject({
      code: 'TRAINING_CHECKPOINT_INVALID',
    });
    await expect(open(runOf('ppo'), { checkpoint: directory })).rejects.toMatchObject({
      code: 'TRAINING_CHECKPOINT_INVALID',
    });
  });
});

/** What a tokenizer puts around texts. */
const frameOf = (files: TokenizerFiles | undefined) => {
  const { begin, end } = loadTokenizer(files!.json, files!.config);
  return { begin, end };
};

describe('what a run publishes', () => {
  it.each(['sft', 'dpo', 'ppo'] as const)('is the policy of a %s run, with its tokenizer', async (method) => {
    const { session } = await open(runOf(method, method === 'ppo' ? { ppo: { numPpoEpochs: 1 } } : {}));
    const first = fresh();
    await session.savePublished(first);
    const start = await readCheckpoint(policy);
    const unchanged = await readCheckpoint(first);
    expect({ ...unchanged, tokenizer: start.tokenizer }).toEqual(start);
    expect(frameOf(unchanged.tokenizer)).toEqual({ begin: [0], end: [] });
    expect(unchanged.tokenizer!.json).toEqual(start.tokenizer!.json);
    expect(unchanged.tokenizer!.config).toMatchObject({ model_max_length: language.contextLength });

    await session.update(itemsFor(method, 4));
    const second = fresh();
    await session.savePublished(second);
    const trained = await readCheckpoint(second);
    expect(trained.config).toEqual(start.config);
    expect(trained.tensors.get('wte.weight')).not.toEqual(start.tensors.get('wte.weight'));
    await session.close();
  });

  it('is the policy alone where a value head has its trunk; the checkpoint holds the head', async () => {
    const { session } = await open(runOf('ppo', { value: 'shared', ppo: { numPpoEpochs: 2 } }));
    await session.update(itemsFor('ppo', 4));
    const [published, checkpoint] = [fresh(), fresh()];
    await session.savePublished(published);
    const { config, tensors } = await readCheckpoint(published);
    const start = await readCheckpoint(policy);
    expect(config).toEqual(start.config);
    expect([...tensors.keys()]).toEqual([...start.tensors.keys()]);
    await session.saveCheckpoint(checkpoint, {});
    const { tensors: trained } = await readSafetensors(join(checkpoint, 'parameters.safetensors'));
    const ofPolicy = [...start.tensors.keys()].map((name) => `policy.${name}`);
    expect([...trained.keys()].toSorted()).toEqual([...ofPolicy, 'value.score.weight'].toSorted());
    expect(trained.get('value.score.weight')!.data.some((x) => x !== 0)).toBe(true);
    await session.close();
  });

  it('is a reward model of a reward run, whose head begins at 0', async () => {
    const { session } = await open(runOf('reward'));
    const directory = fresh();
    await session.savePublished(directory);
    const { config, tensors, tokenizer } = await readCheckpoint(directory);
    expect(config).toMatchObject({ head: { kind: 'scalar', labels: 1 }, width: language.width });
    expect(tensors.get('score.weight')!.data.every((x) => x === 0)).toBe(true);
    expect(tensors.get('wte.weight')).toEqual((await readCheckpoint(policy)).tensors.get('wte.weight'));
    expect(frameOf(tokenizer)).toEqual({ begin: [0], end: [0] });
    await session.close();
  });

  it('has the further files of the model that it began with', async () => {
    await writeFile(join(policy, 'chat_template.jinja'), '{{ messages }}');
    await writeFile(join(policy, 'generation_config.json'), '{"eos_token_id": 0}');
    const { session } = await open(runOf('dpo'));
    const directory = fresh();
    await session.savePublished(directory);
    expect(await readFile(join(directory, 'chat_template.jinja'), 'utf8')).toBe('{{ messages }}');
    expect(await readFile(join(directory, 'generation_config.json'), 'utf8')).toBe('{"eos_token_id": 0}');
    await session.close();
  });

  it('of a reward model whose texts end with the padding names no padding, for scores are read before it', async () => {
    const padding = async (padTokenId: number) => {
      const model = await modelOf({ ...language, padTokenId }, 1);
      const { session } = await open(runOf('reward'), { models: { policy: { base: model } } });
      const directory = fresh();
      await session.savePublished(directory);
      await session.close();
      return (await readCheckpoint(directory)).config.padTokenId;
    };
    expect(await padding(0)).toBeUndefined();
    expect(await padding(1)).toBe(1);
  });
});

describe('the value model', () => {
  /** The variance that an untrained value model explains, which tells models apart: one with a new head gives values of 0. */
  const explained = async (value: string | undefined) => {
    const { session } = await open(runOf('ppo', { ppo: { numPpoEpochs: 1 } }), {
      models: { policy: { base: policy }, ...(value && { value: { base: value } }) },
    });
    const { metrics } = await session.update(itemsFor('ppo', 4));
    await session.close();
    return metrics['val/var_explained'];
  };

  it('starts from the model given, else from the body of the policy with a new head', async () => {
    const [scored, unscored] = [await explained(rewardModel), await explained(undefined)];
    expect(unscored).toBeCloseTo(0, 6);
    expect(scored).not.toBeCloseTo(0, 3);
    // A body without a head gets a new one, too.
    expect(await explained(policy)).toBe(unscored);
  });

  it.each([
    ['vocabulary', { vocabSize: 50 }],
    ['context', { contextLength: 16 }],
  ])('with another %s than the policy is refused', async (_, change) => {
    const value = await modelOf({ ...scalar, ...change }, 3);
    await expect(
      open(runOf('ppo'), { models: { policy: { base: policy }, value: { base: value } } }),
    ).rejects.toMatchObject({
      code: 'TRAINING_MODELS_DIFFER',
      message: expect.stringMatching(/53 tokens in contexts of 24, got (50 and 24|53 and 16)/),
    });
  });
});

describe('a sampling run', () => {
  const config = parseRunConfig({
    run: 'tiny',
    method: 'sample',
    steps: 2,
    model: 'm',
    prompts: 'p',
    rank: true,
    scorers: ['gold:d'],
  });
  const said = (score: number) => ({ logprobs: [-1], reference: [-1], score });

  it('measures and ranks, counts its steps, and has nothing to save', async () => {
    const { session, positions } = await open(config);
    const items = [0, 1].map((sample) =>
      episodeItem(`tiny/0/0/${sample}`, { promptTokens: [0], tokens: [1] }, said(sample)),
    );
    expect(await session.update(items)).toMatchObject({
      metrics: { 'objective/scores': 0.5 },
      comparisons: [{ ranks: [2, 1] }],
    });
    expect([session.step, positions]).toEqual([1, {}]);
    await expect(session.savePublished(fresh())).rejects.toThrow('trains nothing');
    await expect(session.saveCheckpoint(fresh(), {})).rejects.toThrow('trains nothing');
    await session.close();
  });
});

it('an evaluation changes nothing', async () => {
  const { session } = await open(runOf('reward'));
  const held = [comparisonItem('tiny/0/0', [0], [[1, 2], [3]])];
  const first = await session.evaluate(held);
  expect(await session.evaluate(held)).toEqual(first);
  expect(first).toMatchObject({ 'eval/pairs': 1 });
  expect(session.step).toBe(0);
  await session.close();
});
