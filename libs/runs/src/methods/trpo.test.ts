import { describe, expect, it } from 'vitest';
import { parseRunConfig, runConfigMistakes } from '../run-config.js';
import { type ConfigOf, specOf } from './index.js';

const run = { run: 'r', method: 'trpo', steps: 5, model: 'm', prompts: 'd', scorers: ['run:reward'] };

const mistakesOf = (json: object) =>
  runConfigMistakes(json).map(({ path, message }) => `${path.join('.')}: ${message}`);

describe('a run of TRPO', () => {
  it('has the settings of the paper, and those of PPO where they are the same', () => {
    const { trpo } = parseRunConfig(run) as ConfigOf<'trpo'>;
    expect(trpo).toMatchObject({ delta: 0.01, cgIterations: 10, cgDamping: 0.1, backtrackCoef: 0.8 });
    const ppo = (parseRunConfig({ ...run, method: 'ppo' }) as ConfigOf<'ppo'>).ppo;
    const shared = Object.keys(ppo).filter((key) => key in trpo) as (keyof typeof ppo & keyof typeof trpo)[];
    expect(shared).toEqual(expect.arrayContaining(['klCoef', 'klEstimator', 'gamma', 'lam']));
    for (const key of shared) expect([key, trpo[key]]).toEqual([key, ppo[key]]);
  });

  it('steps the policy by line search, and the value model by the optimizer', () => {
    const { trains } = specOf(parseRunConfig(run));
    expect(trains.map(({ role, movedBy = 'optimizer' }) => [role, movedBy])).toEqual([
      ['policy', 'line search'],
      ['value', 'optimizer'],
    ]);
  });

  it('is on-policy: no step is issued ahead of the version that it samples from', () => {
    expect(specOf(parseRunConfig(run))).toMatchObject({ ahead: 0, onPolicy: true });
    expect(mistakesOf({ ...run, maxStaleness: 1 })).toEqual([
      expect.stringMatching(/^maxStaleness: no such setting.* this is 'trpo'$/),
    ]);
  });

  it('has a value model of its own: a shared trunk is refused with the reason', () => {
    expect(mistakesOf({ ...run, value: 'shared' })).toEqual([
      expect.stringMatching(/^value: expected a value model of its own: .* trust region .*, got 'shared'$/),
    ]);
    expect(mistakesOf({ ...run, value: 'run:reward' })).toEqual([]);
  });

  it.each([
    ['delta', 0],
    ['cgIterations', 0],
    ['cgDamping', -1],
    ['backtrackCoef', 1],
    ['backtrackIterations', 0],
    ['fisherFraction', 0],
    ['fisherFraction', 1.5],
    ['numValueEpochs', 0],
  ])('is refused for %s: %d', (name, value) => {
    expect(mistakesOf({ ...run, trpo: { [name]: value } })).toEqual([
      expect.stringMatching(new RegExp(`^trpo.${name}: .*got ${value}`)),
    ]);
  });
});
