import { mkdir, mkdtemp, readdir, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ArtifactStore, filesystemArtifacts } from '@rlhf-streams/artifacts';
import type { ModelRef } from '@rlhf-streams/events';
import {
  initialiseWeights,
  type ModelConfig,
  newModelConfig,
  readCheckpoint,
  readSafetensors,
  trainByteLevelBpe,
  trainedModel,
  withScalarHead,
  writeAdapter,
  writeCheckpoint,
  writeSafetensors,
} from '@rlhf-streams/model';
import { methods, type NamedModel, parseSource, type RunView } from '@rlhf-streams/runs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { findModel } from './find.js';

let folder: string;
let artifacts: ArtifactStore;
const runs = new Map<string, RunView>();
const published = new Map<string, { model: ModelRef; version: number }>();
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'find-'));
  artifacts = filesystemArtifacts({ directory: join(folder, 'artifacts') });
  runs.clear();
  published.clear();
});
afterEach(() => rm(folder, { recursive: true }));

let views = 0;
async function find(source: string, name: 'policy' | 'scorer' = 'policy') {
  const temporary = join(folder, `views-${views++}`);
  await mkdir(temporary);
  const role = methods.ppo.models.find((role) => role.name === name)!;
  const field = name === 'scorer' ? 'scorers[0]' : 'model';
  const dependencies = {
    context: { artifacts },
    runs,
    published,
    temporary,
    signal: new AbortController().signal,
  };
  const parsed = parseSource(name === 'scorer' ? 'scorer' : 'model', source);
  return findModel(dependencies, { role, name, field, source: parsed as NamedModel['source'] });
}

const shape = newModelConfig({
  architecture: 'gpt2',
  vocabSize: 258,
  contextLength: 16,
  width: 8,
  layers: 1,
  heads: 1,
});

async function model(name: string, change: Partial<ModelConfig> = {}): Promise<string> {
  const config = { ...shape, ...change };
  const directory = join(folder, name);
  const tokenizer = trainByteLevelBpe(['a'], { vocabSize: 258 });
  await writeCheckpoint(directory, { config, tensors: initialiseWeights(config, 1), tokenizer });
  return directory;
}

/** An adapter on a model of this shape, as PEFT writes it. */
async function adapter(name: string, on: ModelConfig = shape, base = 'someone/model'): Promise<string> {
  const directory = join(folder, name);
  const peft = { r: 2, targetModules: ['c_attn'] };
  const config = trainedModel(on, { head: on.head.kind, peft, isPublished: true });
  await writeAdapter(directory, { config, tensors: initialiseWeights(config, 1), base });
  return directory;
}

async function publish(run: string, method: string, change: Partial<ModelConfig> = {}): Promise<string> {
  published.set(run, {
    model: { base: await artifacts.putDirectory(await model(`of-${run}`, change)) },
    version: 3,
  });
  runs.set(run, { run, config: { method } } as RunView);
  return `run:${run}`;
}

describe('a model is told by what was found', () => {
  it.each([
    ['sft', {}, 'language model', 'run r trained a policy'],
    ['sample', {}, 'language model', 'run r measured a policy'],
    ['reward', { head: { kind: 'scalar', labels: 1 } }, 'reward model', 'run r trained a reward model'],
  ] as const)('of a run of method %s', async (method, change, kind, what) => {
    const found = await find(await publish('r', method, change));
    expect(found).toMatchObject({ kind, what, isNew: false, shape: { width: 8 } });
    expect(found.tokenizer?.vocabSize).toBe(258);
    expect([{ base: found.place?.base.ref }, found.version]).toEqual([published.get('r')!.model, 3]);
  });

  it('in a folder, of which only the files of a model are taken', async () => {
    const directory = await model('mine', { head: { kind: 'scalar', labels: 3 } });
    await writeFile(join(directory, 'pytorch_model.bin'), '');
    await truncate(join(directory, 'pytorch_model.bin'), 2 ** 40);
    await mkdir(join(directory, 'checkpoint-100'));
    const found = await find(directory);
    expect(found).toMatchObject({ kind: 'classifier', what: 'it holds a classifier of 3 labels' });
    expect(await readdir(found.place!.base.directory)).toEqual([
      'config.json',
      'model.safetensors',
      'tokenizer.json',
      'tokenizer_config.json',
    ]);
  });

  it('in shards, which are taken with their index', async () => {
    const directory = await model('mine');
    const { tensors } = await readSafetensors(join(directory, 'model.safetensors'));
    const shards = [0, 1].map((shard) => [...tensors].filter((_, i) => i % 2 === shard));
    const weight_map: Record<string, string> = {};
    for (const [i, shard] of shards.entries()) {
      await writeSafetensors(join(directory, `part-${i}.safetensors`), new Map(shard));
      for (const [name] of shard) weight_map[name] = `part-${i}.safetensors`;
    }
    await rm(join(directory, 'model.safetensors'));
    await writeFile(join(directory, 'model.safetensors.index.json'), JSON.stringify({ weight_map }));
    const { place } = await find(directory);
    const stored = await artifacts.fetch(await artifacts.putDirectory(place!.base.directory));
    const { tensors: read } = await readCheckpoint(stored);
    expect(read).toEqual((await readCheckpoint(await model('whole'))).tensors);
  });

  it('and a gold reward by its file', async () => {
    await mkdir(join(folder, 'gold'));
    await writeFile(join(folder, 'gold', 'gold-reward.json'), '{}');
    expect(await find(join(folder, 'gold'), 'scorer')).toMatchObject({
      kind: 'gold reward',
      what: 'it holds a gold reward',
    });
    expect(await find('gold:reviews.jsonl', 'scorer')).toMatchObject({ kind: 'gold reward', isNew: true });
  });
});

describe('a model with an adapter is found', () => {
  it('that a run published', async () => {
    const [base, lora] = await Promise.all([model('base'), adapter('lora')]);
    const ref = {
      base: await artifacts.putDirectory(base),
      adapter: await artifacts.putDirectory(lora),
    };
    published.set('r', { model: ref, version: 3 });
    runs.set('r', { run: 'r', config: { method: 'sft' } } as RunView);
    const found = await find('run:r');
    expect(found).toMatchObject({
      kind: 'language model',
      what: 'run r trained a policy',
      shape: { adapter: { rank: 2 } },
      place: { base: { ref: ref.base }, adapter: { ref: ref.adapter } },
    });
    expect(found.tokenizer?.vocabSize).toBe(258);
  });

  it('in two folders, and as what it makes of its base', async () => {
    const base = await model('base');
    const stored = await artifacts.putDirectory(base);
    const lora = await adapter('lora', withScalarHead(shape));
    await writeFile(join(lora, 'optimizer.pt'), '');
    for (const on of [base, stored.uri]) {
      const found = await find(`adapter:${lora} on ${on}`, 'scorer');
      expect(found).toMatchObject({ kind: 'reward model', what: 'it holds a reward model' });
      expect(await readdir(found.place!.adapter!.directory)).toEqual([
        'adapter_config.json',
        'adapter_model.safetensors',
      ]);
    }
  });
});

describe('what is no model is refused in the words of the configuration', () => {
  const refused = (source: string, message: RegExp, name?: 'policy' | 'scorer', code = 'RUN_MODEL_INVALID') =>
    expect(find(source, name)).rejects.toMatchObject({ code, message: expect.stringMatching(message) });

  it('a folder that does not exist, or is a file', async () => {
    await refused(join(folder, 'none'), /^model: .*none: expected run:ID, .*; there is no folder .*none$/);
    await writeFile(join(folder, 'reviews.jsonl'), '');
    await refused(
      join(folder, 'reviews.jsonl'),
      /^scorers\[0\]: .* is a file: a gold reward trained on it is gold:.*reviews\.jsonl$/,
      'scorer',
    );
  });

  it('a folder without config.json, of which nothing is copied', async () => {
    const big = join(folder, 'big');
    await mkdir(join(big, 'checkpoint-500'), { recursive: true });
    await writeFile(join(big, 'pytorch_model.bin'), '');
    await truncate(join(big, 'pytorch_model.bin'), 2 ** 40);
    await refused(big, /^model: (.*big): \1 has no config\.json, but pytorch_model\.bin, which/);
    expect(await readdir(folder)).not.toContain('artifacts');
  });

  it('a model whose files are damaged, whoever made it', async () => {
    const directory = await model('mine');
    await writeFile(join(directory, 'config.json'), '{"model_type": "bert"}');
    await refused(directory, /^model: .*mine: config\.json: model_type/);
    await writeFile(join(directory, 'config.json'), '{"model_type": "gpt2"}');
    await refused(directory, /^model: .*mine: model\.safetensors: the tensors are not those/);
    published.set('r', { model: { base: await artifacts.putDirectory(directory) }, version: 1 });
    await refused('run:r', /^model: run:r: model\.safetensors: the tensors are not those/);
    await writeFile(join(directory, 'tokenizer.json'), '{}');
    await rm(join(directory, 'model.safetensors'));
    await refused(directory, /^model: .*mine: .*mine has no model\.safetensors/);
  });

  it('an adapter without its base, or on another one', async () => {
    const lora = await adapter('lora');
    await refused(
      lora,
      /^model: .*lora: .*lora is an adapter on someone\/model: name that model too, .*: adapter:.*lora on someone\/model$/,
    );
    const { uri } = await artifacts.putDirectory(lora);
    await refused(uri, /^model: artifact:\w+: artifact:\w+ is an adapter on someone\/model/);
    const base = await model('base');
    await refused(`adapter:${base} on ${base}`, /base has no adapter_config\.json/);
    await refused(`adapter:${lora} on ${lora}`, /lora is an adapter on someone\/model/);
    const other = await model('other', { layers: 1, width: 16 } as Partial<ModelConfig>);
    await refused(
      `adapter:${lora} on ${other}`,
      /^model: adapter:.*lora on .*other: adapter_model\.safetensors: the tensors are not those of an adapter on this base/,
    );
  });

  it('an artifact that is none, and a run that published nothing', async () => {
    await refused('artifact:abc', /^model: artifact:abc: /);
    await refused(`artifact:${'0'.repeat(64)}`, /^model: artifact:0+: expected artifact/);
    await refused(
      'run:none',
      /^model: run:none: expected run none to have published/,
      'policy',
      'RUN_SOURCE_UNFIT',
    );
    const items = await artifacts.putFiles({ 'items.jsonl': '' });
    await refused(items.uri, /^model: artifact:\w+: artifact:\w+ has no config\.json/);
  });
});
