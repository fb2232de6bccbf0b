import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Buffers, type Engine, int32, onnxEngine } from '@rlhf-streams/tensor';
import { afterAll, describe, expect, it } from 'vitest';
import { architectureOf } from '../architectures/index.js';
import { readCheckpoint } from '../checkpoint/directory.js';
import { readSafetensors, writeSafetensors } from '../checkpoint/safetensors.js';
import { adapterScale, type ModelConfig } from '../model-config.js';
import { rewardScorer } from '../scoring.js';
import { initialiseWeights, parameterCount, parameterSpecs, type WeightTensor } from '../weights.js';
import { frozenTensors } from './frozen.js';
import { mergeAdapter } from './merge.js';
import { withAdapter } from './peft-config.js';
import { describeModel, readAdapter } from './read.js';
import { adapterTensors, isOfAdapter, tensorsOf } from './tensors.js';
import { writeAdapter } from './write.js';

const fixture = (path: string) => new URL(`../../fixtures/${path}`, import.meta.url).pathname;
const json = async (path: string) => JSON.parse(await readFile(fixture(path), 'utf8'));

/** Adapters of PEFT, with the names of their bases and of their goldens. */
const GOLDEN = [
  ['gpt2-lora', 'gpt2', 8 / 4],
  ['llama-lora-qv', 'llama-tied', 16 / 4],
  ['llama-lora-all-rslora', 'llama-untied', 8 / Math.sqrt(8)],
] as const;

const made: string[] = [];
afterAll(() => Promise.all(made.map((dir) => rm(dir, { recursive: true }))));
async function folder(): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'adapter-'));
  made.push(dir);
  return dir;
}

async function load(name: string, base: string) {
  const checkpoint = await readCheckpoint(fixture(`models/${base}`));
  const { config, tensors } = await readAdapter(fixture(`adapters/${name}`), checkpoint.config);
  return { base: checkpoint, config, adapter: tensors, all: new Map([...checkpoint.tensors, ...tensors]) };
}

const buffersOf = (tensors: ReadonlyMap<string, WeightTensor>): Buffers =>
  Object.fromEntries([...tensors].map(([name, { data }]) => [name, data]));

async function logitsOf(
  engine: Engine,
  config: ModelConfig,
  tensors: ReadonlyMap<string, WeightTensor>,
  ids: readonly number[],
): Promise<Float32Array> {
  const { forward, languageHead } = architectureOf(config);
  const state = parameterSpecs(config);
  const workspace = await engine.open(state);
  await workspace.load(buffersOf(new Map([...tensors].filter(([name]) => state[name]))));
  const program = {
    inputs: { ids: int32(1, ids.length) },
    reads: Object.keys(state),
    run: (p: Parameters<typeof languageHead>[1], t: Record<string, never>) => ({
      outputs: { logits: languageHead(config, p, forward(config, p, t.ids!).hidden) },
    }),
  };
  await workspace.add({ logits: program as never });
  const { logits } = await workspace.run('logits', { ids: Int32Array.from(ids) });
  await workspace.dispose();
  return logits as Float32Array;
}

const farthest = (a: ArrayLike<number>, b: ArrayLike<number>): number => {
  expect(a.length).toBe(b.length);
  let most = 0;
  for (let i = 0; i < a.length; i++) most = Math.max(most, Math.abs(a[i]! - b[i]!));
  return most;
};

describe.each(GOLDEN)('the adapter %s of PEFT', (name, baseName, scale) => {
  it("has PEFT's logits, and its merged model has them too", async () => {
    const engine = onnxEngine();
    const { base, config, adapter, all } = await load(name, baseName);
    expect(adapterScale(config.adapter!)).toBeCloseTo(scale, 12);
    const merged = mergeAdapter(config, base.tensors, adapter);
    expect(merged.config).toEqual(base.config);
    const { cases } = await json(`adapters/${name}/expected.json`);
    const { tensors } = await readSafetensors(fixture(`adapters/${name}/expected.safetensors`));
    for (const { input_ids, logits_tensor, logits_abs_max } of cases) {
      const expected = tensors.get(logits_tensor)!.data as Float32Array;
      const came = await logitsOf(engine, config, all, input_ids);
      expect(farthest(came, expected) / logits_abs_max).toBeLessThan(1e-5);
      const together = await logitsOf(engine, merged.config, merged.tensors, input_ids);
      expect(farthest(together, came) / logits_abs_max).toBeLessThan(1e-5);
      // The adapter is no small thing: the base alone is far from it.
      expect(farthest(await logitsOf(engine, base.config, base.tensors, input_ids), came)).toBeGreaterThan(1);
    }
  });

  it('is written as it was read, to the byte', async () => {
    const { config, adapter } = await load(name, baseName);
    const dir = join(await folder(), 'written');
    await writeAdapter(dir, { config, tensors: adapter, base: `../../models/${baseName}` });
    const theirs = await json(`adapters/${name}/adapter_config.json`);
    const ours = JSON.parse(await readFile(join(dir, 'adapter_config.json'), 'utf8'));
    for (const [key, value] of Object.entries(ours))
      expect([key, key === 'target_modules' ? new Set(value as string[]) : value]).toEqual([
        key,
        key === 'target_modules' ? new Set(theirs[key]) : theirs[key],
      ]);
    expect(await readFile(join(dir, 'adapter_model.safetensors'))).toEqual(
      await readFile(fixture(`adapters/${name}/adapter_model.safetensors`)),
    );
    await expect(writeAdapter(dir, { config, tensors: adapter, base: '' })).rejects.toMatchObject({
      code: 'MODEL_CHECKPOINT_EXISTS',
    });
  });
});

describe('a reward model that is an adapter on a language model, in bfloat16', () => {
  const folders = { base: fixture('models/gpt2'), adapter: fixture('adapters/gpt2-reward') };

  it('has the scores of PEFT, by weights of which those of the base stay in their file', async () => {
    const described = await describeModel(folders);
    const { config, base } = described;
    expect(config.head).toEqual({ kind: 'scalar', labels: 1 });
    expect(adapterScale(config.adapter!)).toBeCloseTo(5 / Math.sqrt(3), 12);
    expect(config.adapter!.modulesToSave).toEqual(['score']);
    const frozen = await frozenTensors(folders, described, 'gpt2');
    expect('stored' in frozen && Object.keys(frozen.stored.offsets)).toEqual([...tensorsOf(base).keys()]);

    const { tensors } = await readAdapter(folders.adapter, base);
    const weights = await readCheckpoint(folders.base);
    const values = buffersOf(new Map([...weights.tensors, ...tensors]));
    const scorer = rewardScorer(onnxEngine(), config, { hash: 'both', values });
    const cases: { input_ids: number[]; score: number }[] = await json('adapters/gpt2-reward/expected.json');
    const scores = await scorer.score(cases.map(({ input_ids }) => ({ tokens: input_ids })));
    expect(
      farthest(
        scores,
        cases.map(({ score }) => score),
      ),
    ).toBeLessThan(1e-5);
    await scorer.dispose();
  });

  it('is read again with the offset of its scores and a tokenizer of its own', async () => {
    const { base } = await describeModel({ base: folders.base });
    const { config, tensors } = await readAdapter(folders.adapter, base);
    const adapter = join(await folder(), 'reward');
    const own = { json: await json('tokenizers/gpt2/tokenizer.json') };
    const head = { kind: 'scalar', labels: 1, offset: -0.1 } as const;
    await writeAdapter(adapter, { config: { ...config, head }, tensors, base: 'x', tokenizer: own });
    const again = await describeModel({ base: folders.base, adapter });
    expect(again.config).toEqual({ ...config, head });
    expect(again.tokenizer!.json).toEqual(own.json);
    expect((await readAdapter(adapter, base)).tensors).toEqual(tensors);
  });
});

describe('an adapter that is not what its base can have', () => {
  it('names the tensors and shapes that do not fit', async () => {
    const { config, tensors } = await readCheckpoint(fixture('models/gpt2-seqcls'));
    const { adapter } = await load('gpt2-lora', 'gpt2');
    expect(tensors.size).toBeGreaterThan(0);
    await expect(readAdapter(fixture('adapters/gpt2-lora'), config)).rejects.toMatchObject({
      code: 'MODEL_ADAPTER_CONFIG',
      message: expect.stringContaining('expected a language model as the base, got a reward model'),
    });
    const base = (await readCheckpoint(fixture('models/gpt2'))).config as ModelConfig & { width: number };
    const wider = architectureOf(base).newConfig({
      layers: 1,
      heads: 2,
      width: base.width + 2,
      vocabSize: base.vocabSize,
      contextLength: 8,
    });
    const refused = readAdapter(fixture('adapters/gpt2-lora'), wider);
    const b = adapter.get('h.0.attn.c_attn.lora_B.weight')!.shape;
    await expect(refused).rejects.toMatchObject({ code: 'MODEL_ADAPTER_TENSORS' });
    await expect(refused).rejects.toThrow(
      `c_attn.lora_B.weight has shape [${b}], expected [${[3 * wider.width, b[1]]}]`,
    );
    await expect(refused).rejects.toThrow('unexpected base_model.model.transformer.h.1.');
  });

  it.each([
    [{ peft_type: 'IA3' }, 'MODEL_ADAPTER_UNSUPPORTED', 'peft_type "IA3", expected LORA'],
    [{ task_type: 'TOKEN_CLS' }, 'MODEL_ADAPTER_UNSUPPORTED', 'task_type "TOKEN_CLS"'],
    [{ bias: 'lora_only' }, 'MODEL_ADAPTER_UNSUPPORTED', 'bias "lora_only"'],
    [{ use_dora: true }, 'MODEL_ADAPTER_UNSUPPORTED', 'use_dora true'],
    [{ rank_pattern: { c_attn: 2 } }, 'MODEL_ADAPTER_UNSUPPORTED', 'rank_pattern {"c_attn":2}'],
    [{ alpha_pattern: { c_attn: 2 } }, 'MODEL_ADAPTER_UNSUPPORTED', 'alpha_pattern'],
    [{ layers_to_transform: [0] }, 'MODEL_ADAPTER_UNSUPPORTED', 'layers_to_transform [0]'],
    [{ init_lora_weights: 'pissa' }, 'MODEL_ADAPTER_UNSUPPORTED', 'init_lora_weights "pissa"'],
    [{ later_variant: 1 }, 'MODEL_ADAPTER_UNSUPPORTED', 'later_variant 1'],
    [{ r: 0 }, 'MODEL_ADAPTER_CONFIG', 'r:'],
    [{ target_modules: ['q_proj'] }, 'MODEL_ADAPTER_CONFIG', 'c_attn, c_proj, c_fc; got "q_proj"'],
    [{ target_modules: '(' }, 'MODEL_ADAPTER_CONFIG', 'a regular expression, got "("'],
    [{ target_modules: 'c_attn' }, 'MODEL_ADAPTER_CONFIG', 'got "c_attn", which matches none'],
    [{ modules_to_save: ['lm_head'] }, 'MODEL_ADAPTER_CONFIG', 'without lm_head'],
    [{ modules_to_save: ['heads'] }, 'MODEL_ADAPTER_CONFIG', 'modulesToSave, got heads'],
    [{ task_type: 'SEQ_CLS' }, 'MODEL_ADAPTER_CONFIG', 'expected the head of the classifier'],
  ])('refuses %j', async (fields, code, message) => {
    const { config, adapter } = await load('gpt2-lora', 'gpt2');
    const dir = join(await folder(), 'a');
    const fields0 = await json('adapters/gpt2-lora/adapter_config.json');
    await writeAdapter(dir, { config, tensors: adapter, base: '' });
    await writeFile(join(dir, 'adapter_config.json'), JSON.stringify({ ...fields0, ...fields }));
    const refused = readAdapter(dir, (await readCheckpoint(fixture('models/gpt2'))).config);
    await expect(refused).rejects.toMatchObject({ code, message: expect.stringContaining(message) });
  });

  it('says which file is missing, and what to do with one of pickles', async () => {
    const { config } = await load('gpt2-lora', 'gpt2');
    const dir = await folder();
    await expect(readAdapter(dir, config)).rejects.toMatchObject({
      code: 'MODEL_CHECKPOINT_MISSING',
      message: `${dir} has no adapter_config.json.`,
    });
  });
});

describe('a new adapter', () => {
  const base = architectureOf({ architecture: 'gpt2' }).newConfig({
    layers: 3,
    width: 16,
    heads: 2,
    vocabSize: 64,
    contextLength: 8,
  });
  const settings = {
    rank: 4,
    alpha: 8,
    rslora: false,
    targetModules: 'all-linear',
    modulesToSave: [],
  } as const;

  it('changes nothing, and starts as that of PEFT does: A uniform within 1 / sqrt(from), B at 0', async () => {
    const config = withAdapter(base, settings, 'peft');
    const start = initialiseWeights(config, 3);
    for (const [name, { shape, initial }] of adapterTensors(config)) {
      const { data } = start.get(name)!;
      if ('constant' in initial) {
        expect(name).toContain('lora_B');
        expect(new Set(data)).toEqual(new Set([0]));
      } else {
        const bound = 1 / Math.sqrt(shape[1]!);
        const most = data.reduce((max, value) => Math.max(max, Math.abs(value)), 0);
        expect(most).toBeLessThanOrEqual(bound);
        expect(most).toBeGreaterThan(0.9 * bound);
      }
    }
    const ids = [1, 5, 9];
    const alone = await logitsOf(onnxEngine(), base, start, ids);
    expect(await logitsOf(onnxEngine(), config, start, ids)).toEqual(alone);
    expect(initialiseWeights(config, 3, (name) => isOfAdapter(config, name)).size).toBe(2 * 4 * base.layers);
    expect(parameterCount(config)).toBe(
      parameterCount(base) + base.layers * 4 * (16 + 48 + 16 + 16 + 16 + 64 + 64 + 16),
    );
  });

  it.each([
    [['c_attn'], ['h.0.attn.c_attn', 'h.1.attn.c_attn', 'h.2.attn.c_attn'], ['c_attn']],
    [['attn.c_proj'], ['h.0.attn.c_proj', 'h.1.attn.c_proj', 'h.2.attn.c_proj'], undefined],
    [['transformer.h.1.mlp.c_fc'], ['h.1.mlp.c_fc'], undefined],
    ['.*\\.1\\..*c_proj', ['h.1.attn.c_proj', 'h.1.mlp.c_proj'], undefined],
  ])(
    'is on the modules that %j matches in PEFT, and is written with names that match them again',
    async (targetModules, modules, written) => {
      const config = withAdapter(base, { ...settings, targetModules }, 'peft');
      expect(config.adapter!.targetModules).toEqual(modules);
      const dir = join(await folder(), 'a');
      await writeAdapter(dir, { config, tensors: initialiseWeights(config, 1), base: 'b' });
      const { target_modules } = JSON.parse(await readFile(join(dir, 'adapter_config.json'), 'utf8'));
      expect(target_modules).toEqual(written ?? modules.map((name) => `transformer.${name}`));
      expect((await readAdapter(dir, base)).config).toEqual(config);
    },
  );

  it('has the tensors of modules that are learned in full, which have no A and B', async () => {
    const config = withAdapter(base, { ...settings, modulesToSave: ['ln_f', 'h.1.mlp'] }, 'peft');
    const own = [...adapterTensors(config).keys()].filter((name) => !name.includes('lora_'));
    expect(own).toEqual([
      'h.1.mlp.c_fc.weight',
      'h.1.mlp.c_fc.bias',
      'h.1.mlp.c_proj.weight',
      'h.1.mlp.c_proj.bias',
      'ln_f.weight',
      'ln_f.bias',
    ]);
    expect(config.adapter!.targetModules.filter((name) => name.startsWith('h.1.mlp'))).toEqual([]);
    const path = join(await folder(), 'a');
    await writeAdapter(path, { config, tensors: initialiseWeights(config, 1), base: 'b' });
    const { tensors } = await readSafetensors(join(path, 'adapter_model.safetensors'));
    expect([...tensors.keys()]).toContain('base_model.model.transformer.h.1.mlp.c_fc.weight');
    tensors.delete('base_model.model.transformer.ln_f.bias');
    await writeSafetensors(join(path, 'adapter_model.safetensors'), tensors);
    await expect(readAdapter(path, base)).rejects.toThrow(
      'missing base_model.model.transformer.ln_f.bias [16]',
    );
  });
});
