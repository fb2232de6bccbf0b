import { mkdir, mkdtemp, readdir, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ArtifactStore, filesystemArtifacts } from '@rlhf-streams/artifacts';
import type { ModelRef } from '@rlhf-streams/events';
import {
  initialiseWeights,
  type ModelConfig,
  newModelConfig,
  trainByteLevelBpe,
  writeCheckpoint,
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
    expect([found.place?.ref, found.version]).toEqual([published.get('r')!.model, 3]);
  });

  it('in a folder, of which only the files of a model are taken', async () => {
    const directory = await model('mine', { head: { kind: 'scalar', labels: 3 } });
    await writeFile(join(directory, 'pytorch_model.bin'), '');
    await truncate(join(directory, 'pytorch_model.bin'), 2 ** 40);
    await mkdir(join(directory, 'checkpoint-100'));
    const found = await find(directory);
    expect(found).toMatchObject({ kind: 'classifier', what: 'it holds a classifier of 3 labels' });
    expect(await readdir(found.place!.directory)).toEqual([
      'config.json',
      'model.safetensors',
      'tokenizer.json',
      'tokenizer_config.json',
    ]);
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
    await refused(
      big,
      /^model: .*big: .*has no config\.json; it holds checkpoint-500\/, pytorch_model\.bin$/,
    );
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
