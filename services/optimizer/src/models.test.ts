import type { ArtifactRef } from '@rlhf-streams/events';
import { parseRunConfig, type RunView } from '@rlhf-streams/runs';
import { expect, it } from 'vitest';
import { startingModels, versionOf } from './models.js';

const refOf = (name: string): ArtifactRef => ({ uri: `artifact:${name}`, sha256: name });
const artifacts = { fetch: async ({ sha256 }: ArtifactRef) => `/store/${sha256}` };
const context = { artifacts } as unknown as Parameters<typeof startingModels>[0];

const viewOf = (run: object, models: RunView['models']): Pick<RunView, 'config' | 'models'> => ({
  config: parseRunConfig({
    run: 'r',
    method: 'ppo',
    steps: 1,
    prompts: 'd',
    scorers: ['run:reward'],
    model: 'run:sft',
    ...run,
  }),
  models,
});
const lora = { base: refOf('base'), adapter: refOf('lora') };

it('a run starts from bases with their adapters; the base is known by what the run was given, else by its artifact', async () => {
  const value = { base: refOf('base'), adapter: refOf('value') };
  const view = viewOf({ peft: {} }, { policy: lora, value });
  expect(await startingModels(context, view)).toEqual({
    policy: { base: '/store/base', adapter: '/store/lora', hash: 'base', name: 'artifact:base' },
    value: { base: '/store/base', adapter: '/store/value', hash: 'base' },
  });
  const fromFolder = viewOf({ peft: {}, model: '/models/smollm2' }, { policy: { base: refOf('base') } });
  expect((await startingModels(context, fromFolder)).policy).toEqual({
    base: '/store/base',
    hash: 'base',
    name: '/models/smollm2',
  });
});

it('versions of a run with peft are adapters on the base that it started from, and others whole models', () => {
  const stored = refOf('stored');
  const models = { policy: lora };
  expect(versionOf(viewOf({ peft: {} }, models), stored)).toEqual({ base: refOf('base'), adapter: stored });
  expect(versionOf(viewOf({}, { policy: { base: refOf('base') } }), stored)).toEqual({ base: stored });
});
