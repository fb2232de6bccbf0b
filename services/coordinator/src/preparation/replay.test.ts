import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { filesystemArtifacts } from '@rlhf-streams/artifacts';
import { createEvents, createProjection, topicSpecs } from '@rlhf-streams/bus';
import type { ModelRef } from '@rlhf-streams/events';
import { memoryLog } from '@rlhf-streams/log';
import {
  initialiseWeights,
  newModelConfig,
  trainByteLevelBpe,
  trainedModel,
  writeAdapter,
  writeCheckpoint,
} from '@rlhf-streams/model';
import { applyRunEvent, parseRunConfig, type RunView } from '@rlhf-streams/runs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { prepareReplay, type ReplayPreparation } from './replay.js';

const shape = newModelConfig({
  ...{ architecture: 'gpt2', vocabSize: 258, contextLength: 16 },
  ...{ width: 8, layers: 1, heads: 1 },
});
const peft = { r: 2, targetModules: ['c_attn'] };

let folder: string;
let base: ModelRef;
let lora: ModelRef;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'replay-'));
  const store = filesystemArtifacts({ directory: join(folder, 'artifacts') });
  const [whole, adapter] = [join(folder, 'whole'), join(folder, 'adapter')];
  const tokenizer = trainByteLevelBpe(['a'], { vocabSize: 258 });
  await writeCheckpoint(whole, { config: shape, tensors: initialiseWeights(shape, 1), tokenizer });
  const config = trainedModel(shape, { head: 'language', peft, isPublished: true });
  await writeAdapter(adapter, { config, tensors: initialiseWeights(config, 1), base: 'whole' });
  base = { base: await store.putDirectory(whole) };
  lora = { ...base, adapter: await store.putDirectory(adapter) };
});
afterAll(() => rm(folder, { recursive: true }));

const config = (run: string, change: object = {}) =>
  parseRunConfig({ run, method: 'sft', model: 'run:start', data: 'bundled', steps: 2, ...change });

/** Prepares the replay of a run that has completed a step, on what is on the log alone. */
async function replayOf(
  models: Record<string, ModelRef>,
  original: object,
  change: object,
): Promise<ReplayPreparation> {
  const log = memoryLog();
  await log.ensureTopics(topicSpecs);
  const events = createEvents({ log, source: 'test' });
  const source = config('source', original);
  await events.publish([
    { type: 'run.requested', id: 'source/requested', data: { run: 'source', config: { ...source } } },
    {
      type: 'run.started',
      id: 'source/started',
      data: { run: 'source', config: { ...source }, steps: 2, testItems: 0, artifacts: {}, models, from: {} },
    },
    {
      type: 'step.completed',
      id: 'source/0',
      data: { run: 'source', step: 0, policyVersion: 1, split: 'train', metrics: {} },
    },
    {
      type: 'run.cancelled',
      id: 'source/cancelled',
      data: { run: 'source', reason: 'enough' },
    },
  ]);
  const artifacts = filesystemArtifacts({ directory: join(folder, 'artifacts') });
  const stop = new AbortController();
  const runs = createProjection<'runs', RunView>({
    ...{ events, topics: ['runs'], apply: applyRunEvent },
    signal: stop.signal,
  });
  try {
    const replay = { ...source, run: 'again', replay: 'source', steps: 1, ...change };
    return await prepareReplay(
      { context: { artifacts, events }, runs },
      parseRunConfig(replay),
      'source',
      stop.signal,
    );
  } finally {
    stop.abort();
    await events.close();
    await log.close();
  }
}

describe('a replay with another peft', () => {
  it('starts from the models of its run where they take it', async () => {
    expect(await replayOf({ policy: base }, { peft }, { peft: { r: 8 } })).toMatchObject({
      models: { policy: base },
      steps: 1,
    });
    expect(await replayOf({ policy: lora }, { peft: {} }, { peft })).toMatchObject({
      models: { policy: lora },
    });
  });

  it.each<[string, () => ModelRef, object, object | undefined, RegExp]>([
    [
      'than the adapter that its run went on with',
      () => lora,
      {},
      { r: 8 },
      /^model: run:start: peft: expected that of the adapter which training goes on with \(r 2, .*got r 8/,
    ],
    [
      'that is none, from an adapter',
      () => lora,
      {},
      undefined,
      /^model: run:start: expected peft, as the model is an adapter/,
    ],
    [
      'whose modules the model has not',
      () => base,
      peft,
      { targetModules: ['q_proj'] },
      /^model: run:start: peft: expected targetModules to name linear maps of the model.*got "q_proj"/,
    ],
  ])('%s is refused before it begins', async (_, policy, original, other, said) => {
    await expect(replayOf({ policy: policy() }, { peft: original }, { peft: other })).rejects.toMatchObject({
      code: 'RUN_MODEL_UNFIT',
      message: expect.stringMatching(said),
    });
  });
});
