import { describe, expect, it } from 'vitest';
import { TrainingError } from '../errors.js';
import { parseRunConfig } from './run-config.js';

const least = {
  sft: { run: 'r', method: 'sft', steps: 5, model: 'm', data: 'd' },
  reward: { run: 'r', method: 'reward', steps: 5, model: 'm', data: 'd' },
  ppo: { run: 'r', method: 'ppo', steps: 5, model: 'm', prompts: 'd', scorers: ['run:reward'] },
  dpo: { run: 'r', method: 'dpo', steps: 5, model: 'm', data: 'd' },
  sample: { run: 'r', method: 'sample', steps: 5, model: 'm', prompts: 'd' },
} as const;
type Name = keyof typeof least;
const names = Object.keys(least) as Name[];

describe('defaults', () => {
  const adamw = {
    schedule: 'linear',
    warmupSteps: 0,
    beta1: 0.9,
    beta2: 0.999,
    eps: 1e-8,
    weightDecay: 0,
    maxGradNorm: 1,
  };

  it.each([
    ['sft', { optimizer: { ...adamw, learningRate: 2e-5 }, sft: { maxLength: 1024 } }],
    [
      'reward',
      {
        optimizer: { ...adamw, learningRate: 1e-4 },
        reward: { maxLength: 1024, centerRewardsCoefficient: 0 },
      },
    ],
    [
      'dpo',
      {
        optimizer: { ...adamw, learningRate: 1e-6 },
        dpo: { beta: 0.1, lossType: 'sigmoid', labelSmoothing: 0, maxLength: 1024 },
      },
    ],
    [
      'ppo',
      {
        optimizer: { ...adamw, learningRate: 3e-6 },
        sampling: { temperature: 0.7, topK: 0, topP: 1, maxNewTokens: 53 },
        samplesPerPrompt: 1,
        maxStaleness: 0,
        ppo: {
          numPpoEpochs: 4,
          numMiniBatches: 1,
          klCoef: 0.05,
          klEstimator: 'k1',
          cliprange: 0.2,
          cliprangeValue: 0.2,
          vfCoef: 0.1,
          gamma: 1,
          lam: 0.95,
          whitenRewards: false,
          missingEosPenalty: 0,
        },
      },
    ],
  ] as const)("of %s are TRL's", (name, expected) => {
    const config = parseRunConfig(least[name]);
    for (const [group, values] of Object.entries(expected))
      expect(config[group as keyof typeof config]).toEqual(values);
  });

  it('of the adaptive KL coefficient hold where it is asked for', () => {
    expect(parseRunConfig({ ...least.ppo, ppo: { adaptiveKl: {} } })).toMatchObject({
      ppo: { adaptiveKl: { target: 6, horizon: 10_000 } },
    });
  });

  it('of importance sampling hold where it is asked for', () => {
    expect(parseRunConfig({ ...least.ppo, ppo: { importanceSampling: {} } })).toMatchObject({
      ppo: { importanceSampling: { mode: 'token_truncate', cap: 2 } },
    });
  });

  it('of a new model make a small one', () => {
    const model = {
      architecture: 'gpt2',
      layers: 4,
      width: 128,
      heads: 4,
      contextLength: 64,
      vocabSize: 512,
    };
    expect(parseRunConfig({ ...least.sft, model: {} }).model).toEqual(model);
  });
});

describe('a configuration', () => {
  it.each(names)('of %s comes back from JSON as it was, with its defaults said', (name) => {
    const config = parseRunConfig(least[name]);
    expect(JSON.parse(JSON.stringify(config))).toEqual(config);
    expect(parseRunConfig(JSON.parse(JSON.stringify(config)))).toEqual(config);
  });

  it.each(names)('of %s keeps what it was given', (name) => {
    expect(parseRunConfig(least[name])).toMatchObject(least[name]);
  });
});

describe('a mistake', () => {
  const errorOf = (json: unknown): TrainingError => {
    try {
      parseRunConfig(json);
    } catch (error) {
      if (error instanceof TrainingError) return error;
      throw error;
    }
    throw new Error('expected a TrainingError, got none');
  };

  it.each<[string, unknown, RegExp]>([
    ['an unknown key', { ...least.sft, lr: 1 }, /Unrecognized key: "lr"/],
    ['a key of another method', { ...least.sft, dpo: {} }, /Unrecognized key: "dpo"/],
    [
      'an unknown key within',
      { ...least.ppo, ppo: { kl_coef: 0.1 } },
      /Unrecognized key: "kl_coef"\n.*at ppo/,
    ],
    ['a missing key', { ...least.ppo, scorers: undefined }, /expected array.*\n.*at scorers/],
    ['an empty list', { ...least.ppo, scorers: [] }, /at scorers/],
    ['a wrong type', { ...least.sft, steps: '5' }, /expected number, received string\n.*at steps/],
    ['no collection', { ...least.dpo, data: 'feedback:a b' }, /expected feedback:COLLECTION.*\n.*at data/],
    ['a fraction', { ...least.sft, batchSize: 1.5 }, /expected int.*\n.*at batchSize/],
    ['too small', { ...least.sft, steps: 0 }, />=1\n.*at steps/],
    ['too large', { ...least.sft, microBatchSize: 5000 }, /<=4096\n.*at microBatchSize/],
    ['an unknown word', { ...least.dpo, dpo: { lossType: 'exotic' } }, /"sigmoid".*\n.*at dpo\.lossType/],
    [
      'a cap below on-policy weights',
      { ...least.ppo, ppo: { importanceSampling: { cap: 0.5 } } },
      />=1\n.*at ppo\.importanceSampling\.cap/,
    ],
    ['no number at all', { ...least.ppo, ppo: { klCoef: Number.NaN } }, /NaN\n.*at ppo\.klCoef/],
    ['a wrong run id', { ...least.sft, run: '../up' }, /a run id is.*\n.*at run/],
    ['a new model that is too small', { ...least.sft, model: { vocabSize: 10 } }, /at model/],
    ['a replay that trains nothing', { ...least.sample, replay: 'r' }, /Unrecognized key: "replay"/],
    ['a replay of no run', { ...least.sft, replay: '../up' }, /a run id is.*\n.*at replay/],
    ['an unknown method', { ...least.sft, method: 'grpo' }, /at method/],
    ['no method', { run: 'r' }, /at method/],
    ['nothing', null, /expected object/],
  ])('%s is named by its path, with what was expected', (_, json, said) => {
    const error = errorOf(json);
    expect(error.code).toBe('TRAINING_CONFIG_INVALID');
    expect(error.message).toMatch(said);
  });

  it('does not hide the others', () => {
    const { message } = errorOf({ ...least.dpo, steps: -1, seed: 0.5, dpo: { beta: 0 } });
    for (const path of ['steps', 'seed', 'dpo.beta']) expect(message).toContain(`at ${path}`);
  });
});
