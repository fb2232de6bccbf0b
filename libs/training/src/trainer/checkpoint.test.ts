import { mkdtemp, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { newModelConfig, readSafetensors, writeSafetensors } from '@rlhf-streams/model';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { initialParameters, layoutFor } from '../tiny.test.support.js';
import { loadCheckpoint, saveCheckpoint } from './checkpoint.js';
import { type Layout, layoutOf } from './layout.js';

const layout = layoutFor('ppo');
const stateOf = (layout: Layout) => {
  const [p, m, v] = [1, 2, 3].map((seed) => initialParameters(layout, seed));
  return { p: p!, m: m!, v: v!, updates: 12 };
};
const state = stateOf(layout);
const checkpoint = {
  step: 3,
  memory: { klCoef: 0.1 + 0.2 },
  positions: { rollouts: [5, 0, 7], rewards: [] },
  build: { version: '1.2.3', code: 'c0de', onnxruntime: '1.0.0', platform: 'linux-x64' },
};

let root: string;
let directory: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'checkpoint-'));
  directory = join(root, 'checkpoint');
});
afterEach(() => rm(root, { recursive: true }));

describe('a checkpoint', () => {
  it('brings back every number', async () => {
    await saveCheckpoint(directory, layout, state, checkpoint);
    expect(await loadCheckpoint(directory, layout)).toEqual({ state, checkpoint });
  });

  it('keeps memory and positions, whatever they are', async () => {
    const memory = fc.dictionary(
      fc.stringMatching(/^[a-zA-Z]+$/),
      fc.double({ noNaN: true, noDefaultInfinity: true }).map((x) => x + 0),
      { noNullPrototype: true },
    );
    const positions = fc.dictionary(fc.stringMatching(/^[a-z-]+$/), fc.array(fc.nat()), {
      noNullPrototype: true,
    });
    const size = { layers: 1, width: 2, heads: 1, contextLength: 2, vocabSize: 4 };
    const small = layoutOf({ policy: newModelConfig({ architecture: 'gpt2', ...size }) });
    await fc.assert(
      fc.asyncProperty(fc.nat(), memory, positions, async (step, memory, positions) => {
        await saveCheckpoint(directory, small, stateOf(small), { step, memory, positions });
        expect((await loadCheckpoint(directory, small)).checkpoint).toEqual({ step, memory, positions });
      }),
      { numRuns: 20 },
    );
  });
});

const path = (file: string) => join(directory, file);
const changeState = async (edit: object) =>
  writeFile(
    path('state.json'),
    JSON.stringify({ ...JSON.parse(await readFile(path('state.json'), 'utf8')), ...edit }),
  );

describe('a checkpoint of another build', () => {
  beforeEach(() => saveCheckpoint(directory, layout, state, checkpoint));

  it('of the first format says no build', async () => {
    await changeState({ format: 1, build: undefined });
    expect(await loadCheckpoint(directory, layout)).toEqual({
      state,
      checkpoint: { ...checkpoint, build: undefined },
    });
  });

  it('may say more than is read', async () => {
    await changeState({ more: true });
    expect(await loadCheckpoint(directory, layout)).toEqual({ state, checkpoint });
  });

  it('of a format that only a newer one knows is refused, as that', async () => {
    await changeState({ format: 3, positions: 'elsewhere' });
    await expect(loadCheckpoint(directory, layout)).rejects.toMatchObject({
      code: 'TRAINING_CHECKPOINT_TOO_NEW',
      message: expect.stringMatching(
        /state\.json to be of format 2 at most, got format 3, .*upgrade the optimizer/,
      ),
    });
  });
});

describe('a folder that is no checkpoint of the run', () => {
  const change = async (
    file: string,
    edit: (tensors: Awaited<ReturnType<typeof readSafetensors>>['tensors']) => void,
  ) => {
    const { tensors } = await readSafetensors(path(file));
    edit(tensors);
    await writeSafetensors(path(file), tensors);
  };
  it.each<[string, () => Promise<unknown>, string]>([
    ['the folder is missing', () => rm(directory, { recursive: true }), 'ENOENT'],
    ['a file is missing', () => rm(path('moments.safetensors')), 'moments.safetensors'],
    ['a file was cut short', () => truncate(path('parameters.safetensors'), 2000), 'parameters.safetensors'],
    ['the state is no JSON', () => writeFile(path('state.json'), '{"step": 3'), 'JSON'],
    ['the format is none', () => changeState({ format: 0 }), 'at format'],
    ['a number was none', () => changeState({ memory: { klCoef: null } }), 'at memory.klCoef'],
    [
      'a position is negative',
      () => changeState({ positions: { rollouts: [0, -1] } }),
      'at positions.rollouts[1]',
    ],
    [
      'a tensor is missing',
      () => change('moments.safetensors', (t) => t.delete('v.value.ln_f.bias')),
      'v.value.ln_f.bias',
    ],
    [
      'a tensor has another shape',
      () => change('parameters.safetensors', (t) => t.get('policy.h.0.attn.c_attn.weight')!.shape.reverse()),
      'policy.h.0.attn.c_attn.weight to be F32 [16,48]',
    ],
    [
      'a tensor is unknown',
      () =>
        change('parameters.safetensors', (t) =>
          t.set('policy.h.1.ln_1.bias', t.get('policy.h.0.ln_1.bias')!),
        ),
      'policy.h.1.ln_1.bias',
    ],
  ])('%s', async (_, spoil, said) => {
    await saveCheckpoint(directory, layout, state, checkpoint);
    await spoil();
    const error = await loadCheckpoint(directory, layout).catch((thrown) => thrown);
    expect(error).toMatchObject({
      name: 'TrainingError',
      code: 'TRAINING_CHECKPOINT_INVALID',
      cause: expect.any(Error),
    });
    expect(error.message).toContain(directory);
    expect(error.message).toContain(said);
  });
});
