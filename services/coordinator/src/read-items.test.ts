import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ArtifactStore, filesystemArtifacts } from '@rlhf-streams/artifacts';
import { trainByteLevelBpe } from '@rlhf-streams/model';
import {
  artifactRoles,
  ITEMS_FILE,
  ITEMS_FORMAT,
  ITEMS_FORMAT_FILE,
  parseRunConfig,
  type RunView,
} from '@rlhf-streams/runs';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { readItems } from './read-items.js';

let folder: string;
let artifacts: ArtifactStore;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'read-items-'));
  artifacts = filesystemArtifacts({ directory: folder });
});
afterAll(() => rm(folder, { recursive: true }));

async function startedWith(lines: readonly string[], format?: object): Promise<RunView> {
  const config = parseRunConfig({ run: 'r', method: 'dpo', steps: 1, model: 'm', data: 'd' });
  const policy = await artifacts.putFiles({
    'config.json': '{"eos_token_id": 5}',
    'tokenizer.json': JSON.stringify(tokenizer.json),
    'tokenizer_config.json': JSON.stringify(tokenizer.config),
  });
  const items = await artifacts.putFiles({
    [ITEMS_FILE]: lines.map((line) => `${line}\n`).join(''),
    ...(format && { [ITEMS_FORMAT_FILE]: JSON.stringify(format) }),
  });
  const view = {
    run: 'r',
    partition: 0,
    requestOffset: 0,
    status: 'running',
    testItems: 0,
    from: {},
    requestedAt: 0,
  } as const;
  return {
    ...view,
    config,
    models: { [artifactRoles.policy]: { base: policy } },
    artifacts: { [artifactRoles.items]: items },
  };
}

const tokenizer = trainByteLevelBpe(['a b'], { vocabSize: 258 });

const item = (split: 'train' | 'test', promptText: string) => ({
  split,
  promptText,
  promptTokens: [0],
  completions: [
    { text: 'a', tokens: [1] },
    { text: 'b', tokens: [2] },
  ],
  ranks: [1, 2],
  labeler: 'dataset',
});

it('gives training and test items in their order, whatever line breaks Unicode has in their texts', async () => {
  const items = [item('train', 'a\u2028b'), item('test', 'c'), item('train', 'd\u0085\r\n')];
  const view = await startedWith(items.map((item) => JSON.stringify(item)));
  expect(await readItems({ artifacts }, view)).toEqual({
    train: [items[0], items[2]],
    test: [items[1]],
    stopTokens: [0],
  });
});

it('ends completions where its items say; items that do not say, as older builds made them, at the end of text', async () => {
  const lines = [JSON.stringify(item('train', 'a'))];
  const told = await startedWith(lines, { format: ITEMS_FORMAT, stopTokens: [0, 5] });
  expect((await readItems({ artifacts }, told)).stopTokens).toEqual([0, 5]);
  const older = await startedWith(lines, { format: ITEMS_FORMAT });
  expect((await readItems({ artifacts }, older)).stopTokens).toEqual([0]);
});

it('says which item is none, and where', async () => {
  const lines = [item('train', 'a'), { ...item('train', 'b'), ranks: [0, 1] }].map((item) =>
    JSON.stringify(item),
  );
  await expect(readItems({ artifacts }, await startedWith(lines))).rejects.toMatchObject({
    code: 'RUN_ITEMS_INVALID',
    message: expect.stringMatching(/run r .*item 2 is none: ranks\.0: .*under another name$/),
  });
});

it('reads items of its own format, and says that those of a later one need a newer build', async () => {
  const lines = [JSON.stringify(item('train', 'a'))];
  const { train } = await readItems({ artifacts }, await startedWith(lines, { format: ITEMS_FORMAT }));
  expect(train).toHaveLength(1);
  const later = await startedWith(['{"other": "shape"}'], { format: ITEMS_FORMAT + 1 });
  await expect(readItems({ artifacts }, later)).rejects.toMatchObject({
    code: 'RUN_ITEMS_TOO_NEW',
    message: expect.stringMatching(/run r .*format 2 at most, got format 3, .*upgrade the coordinator/),
  });
});

it('gives the items of further datasets by their names', async () => {
  const started = await startedWith([]);
  const put = (...items: object[]) =>
    artifacts.putFiles({ [ITEMS_FILE]: items.map((item) => `${JSON.stringify(item)}\n`).join('') });
  const prompt = { split: 'train', text: 'a', tokens: [1] };
  const text = { split: 'train', promptTokens: [], tokens: [2] };
  const view = {
    ...started,
    config: parseRunConfig({
      run: 'r',
      method: 'ppo',
      steps: 1,
      model: 'm',
      prompts: 'd',
      scorers: ['gold:d'],
      pretraining: 'e',
      ppo: { ptxCoef: 1 },
    }),
    artifacts: { items: await put(prompt), 'items.pretraining': await put(text) },
  };
  expect(await readItems({ artifacts }, view)).toEqual({
    train: [prompt],
    test: [],
    further: { pretraining: { train: [text], test: [] } },
    stopTokens: [0],
  });
});
