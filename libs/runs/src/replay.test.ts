import { describe, expect, it } from 'vitest';
import { RunError } from './errors.js';
import type { ConfigOf } from './methods/index.js';
import { type Change, type ReplaySource, replayConfig, replayExtent, reproduces } from './replay.js';
import { parseRunConfig, type RunConfig, type RunConfigInput } from './run-config.js';
import { loggedBy } from './steps.js';

const ppo = parseRunConfig({
  run: 'ppo',
  method: 'ppo',
  model: 'run:sft',
  prompts: 'bundled',
  scorers: ['run:reward'],
  steps: 10,
  batchSize: 2,
  ppo: { klCoef: 0.2 },
}) as ConfigOf<'ppo'>;
const dpo = parseRunConfig({ run: 'dpo', method: 'dpo', model: 'm', data: 'd', steps: 10 });
const sample = parseRunConfig({ run: 's', method: 'sample', model: 'm', prompts: 'd', steps: 1 });

const refusal = (work: () => unknown): RunError => {
  try {
    work();
  } catch (error) {
    if (error instanceof RunError) return error;
    throw error;
  }
  throw new Error('expected a RunError, got none');
};

describe('the configuration of a replay', () => {
  it('is that of the run, changed where asked to', () => {
    expect(replayConfig(ppo, 'again')).toEqual({ ...ppo, run: 'again', replay: 'ppo' });
    const changes: Change[] = [
      ['ppo.klCoef', 0.1],
      ['ppo.adaptiveKl.target', 3],
      ['optimizer.schedule', 'constant'],
    ];
    expect(replayConfig(ppo, 'other', changes)).toEqual({
      ...ppo,
      run: 'other',
      replay: 'ppo',
      optimizer: { ...ppo.optimizer, schedule: 'constant' },
      ppo: { ...ppo.ppo, klCoef: 0.1, adaptiveKl: { target: 3, horizon: 10_000 } },
    });
  });

  it('of a replay names the run that logged the events', () => {
    const once = replayConfig(ppo, 'once', [['ppo.klCoef', 0.1]]);
    expect(replayConfig(once, 'twice')).toEqual({ ...once, run: 'twice', replay: 'ppo' });
    expect(loggedBy(replayConfig(once, 'twice'))).toBe('ppo');
  });

  it.each<[string, Change, RegExp]>([
    ['an unknown key', ['ppo.kl', 0.1], /ppo\.kl: no such setting; there are numPpoEpochs/],
    ['an unknown path', ['lr', 1], /lr: no such setting; learningRate belongs in optimizer/],
    ['a wrong value', ['ppo.klCoef', 'much'], /ppo\.klCoef: expected number of at least 0, got 'much'/],
    ['a key below a value', ['steps.x', 1], /steps: expected integer from 1 to 1000000, got \{ x: 1 \}/],
    ['a key of every object', ['__proto__.steps', 1], /__proto__: no such setting/],
  ])('with %s is refused by its path', (_, change, said) => {
    const { code, message } = refusal(() => replayConfig(ppo, 'again', [change]));
    expect(code).toBe('TRAINING_CONFIG_INVALID');
    expect(message).toMatch(said);
  });

  it('is none for a run that trains nothing', () => {
    expect(refusal(() => replayConfig(sample, 'again'))).toMatchObject({
      code: 'TRAINING_REPLAY_UNFIT',
      message: expect.stringContaining('samples'),
    });
  });
});

it('a replay reproduces its run unless another number would come of it', () => {
  const changed = (...change: Change) => reproduces(replayConfig(ppo, 'again', [change]), ppo);
  expect(reproduces(replayConfig(ppo, 'again'), ppo)).toBe(true);
  expect([changed('checkpointEvery', 3), changed('stallTimeoutMs', 5000)]).toEqual([true, true]);
  for (const [path, value] of [
    ['ppo.klCoef', 0.1],
    ['optimizer.beta1', 0.8],
    ['steps', 3],
    ['microBatchSize', 2],
  ] as const)
    expect(changed(path, value)).toBe(false);
});

describe('how far a replay goes', () => {
  const extent = (
    source: RunConfig,
    change: Partial<RunConfigInput>,
    logged: Pick<ReplaySource, 'completed'> & Partial<ReplaySource>,
  ) =>
    replayExtent(parseRunConfig({ ...source, run: 'again', replay: source.run, ...change }), {
      config: source,
      testItems: 0,
      ...logged,
    });

  it('is as far as the run came', () => {
    expect(extent(ppo, {}, { completed: 10 })).toEqual({ steps: 10, testItems: 0 });
    expect(extent(ppo, {}, { completed: 4 })).toEqual({ steps: 4, testItems: 0 });
    expect(extent(dpo, {}, { completed: 11, testItems: 5 })).toEqual({ steps: 10, testItems: 5 });
  });

  it('measures what the steps that were logged list', () => {
    const streams = [
      { stream: 'train', kind: 'comparisons', split: 'train', items: 9 },
      { stream: 'evaluation', kind: 'comparisons', split: 'test', items: 5 },
    ] as const;
    const logged = { streams: [...streams], testItems: 5 };
    expect(extent(dpo, {}, { completed: 10, ...logged })).toEqual({ steps: 10, ...logged });
    expect(extent(dpo, { steps: 3 }, { completed: 10, ...logged })).toEqual({ steps: 3, ...logged });
  });

  it('of an earlier build evaluates no held-out items that the run itself did not come to, or that came after other steps', () => {
    expect(extent(dpo, {}, { completed: 10, testItems: 5 })).toEqual({ steps: 10, testItems: 0 });
    expect(extent(dpo, { steps: 3 }, { completed: 11, testItems: 5 })).toEqual({ steps: 3, testItems: 0 });
  });

  it('may be less, with other hyperparameters', () => {
    const change = { steps: 3, microBatchSize: 5, checkpointEvery: 2, optimizer: { learningRate: 0.5 } };
    expect(extent(ppo, { ...change, ppo: { lam: 0.5 } }, { completed: 10 })).toMatchObject({ steps: 3 });
    expect(extent(dpo, { ...change, dpo: { beta: 2 } }, { completed: 10 })).toMatchObject({ steps: 3 });
  });

  it('may weigh pretraining texts otherwise, and have no others', () => {
    const ptx = parseRunConfig({ ...ppo, pretraining: 'texts', ppo: { ptxCoef: 1 } });
    expect(extent(ptx, { ppo: { ptxCoef: 0 } }, { completed: 10 })).toMatchObject({ steps: 10 });
    for (const change of [
      { pretraining: 'others' },
      { pretrainingBatchSize: 9 },
      { pretrainingMaxLength: 9 },
    ])
      expect(refusal(() => extent(ptx, change, { completed: 10 })).message).toContain(
        `another ${Object.keys(change)}`,
      );
  });

  it.each<[string, RunConfig, Partial<RunConfigInput>, string]>([
    ['more steps than completed', ppo, { steps: 7 }, 'at most 5'],
    ['more steps than there were', ppo, { steps: 12 }, 'at most 5'],
    ['other prompts', ppo, { prompts: 'other' }, 'another prompts'],
    ['another model', ppo, { model: 'other' }, 'another model'],
    ['another reference', ppo, { reference: 'other' }, 'another reference'],
    ['other scorers', ppo, { scorers: ['run:reward', 'gold:d'] }, 'another scorers'],
    ['another temperature', ppo, { sampling: { temperature: 2 } }, 'another sampling.temperature'],
    ['another batch size', ppo, { batchSize: 1 }, 'another batchSize'],
    ['more samples', ppo, { samplesPerPrompt: 9 }, 'another samplesPerPrompt'],
    ['another staleness', ppo, { maxStaleness: 1 }, 'another maxStaleness'],
    ['another seed', ppo, { seed: 1 }, 'another seed'],
    ['longer comparisons', dpo, { dpo: { maxLength: 9 } }, 'another dpo.maxLength'],
    ['other data', dpo, { data: 'other' }, 'another data'],
    ['two mistakes', ppo, { seed: 1, batchSize: 1 }, 'another seed, batchSize'],
  ])('with %s is refused: that was never logged', (_, source, change, said) => {
    const { code, message } = refusal(() => extent(source, change, { completed: 5 }));
    expect(code).toBe('TRAINING_REPLAY_UNFIT');
    expect(message).toContain(said);
  });

  it('is nowhere for a run that completed no step', () => {
    expect(refusal(() => extent(ppo, {}, { completed: 0 })).message).toContain('got none to replay');
  });

  it('is refused for settings that learn from what its run did not log', () => {
    const simpo = parseRunConfig({ ...dpo, dpo: { lossType: 'simpo' } });
    const by = (lossType: string, source: RunConfig) => () => {
      const config = parseRunConfig({ ...dpo, run: 'again', replay: 'dpo', dpo: { lossType } });
      return replayExtent(config, { config: source, testItems: 0, completed: 5, streams: [] });
    };
    expect(refusal(by('ipo', simpo)).message).toContain('settings that also take reference-logprobs');
    expect(by('simpo', dpo)()).toMatchObject({ steps: 5 });
  });

  it('is refused for a run of another method', () => {
    const config = parseRunConfig({ ...dpo, run: 'again', replay: 'ppo' });
    expect(
      refusal(() => replayExtent(config, { config: ppo, testItems: 0, completed: 5 })).message,
    ).toContain('method');
  });
});
