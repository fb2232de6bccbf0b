import { describe, expect, it } from 'vitest';
import { namedSources, parseRunConfig, runConfigMistakes } from '../run-config.js';
import { specOf } from './index.js';

const example = {
  run: 'r',
  method: 'ppo',
  steps: 9,
  batchSize: 7,
  model: 'm',
  prompts: 'd',
  scorers: ['gold:d'],
};
const mistakes = (change: object) =>
  runConfigMistakes({ ...example, ...change }).map(({ path, message }) => `${path.join('.')}: ${message}`);

describe('pretraining texts', () => {
  const texts = { pretraining: 'texts', ppo: { ptxCoef: 1 } };

  it.each([
    ['without their weight', { pretraining: 'texts' }, /^ppo\.ptxCoef: expected the weight/],
    ['of which there is only the weight', { ppo: { ptxCoef: 1 } }, /^pretraining: expected texts for ppo/],
    [
      'of which there is only the number',
      { pretrainingBatchSize: 8 },
      /^pretraining: expected texts for pre/,
    ],
  ])('%s are refused', (_, change, said) => {
    const all = mistakes(change);
    expect(all).toHaveLength(1);
    expect(all[0]).toMatch(said);
  });

  it('are a stream of every step, with data of its own, behind all others', () => {
    const { data, datasets, streams, joins } = specOf(parseRunConfig({ ...example, ...texts }));
    expect(data.kind).toBe('prompts');
    expect(datasets!.pretraining).toMatchObject({
      kind: 'demonstrations',
      source: { from: 'path', path: 'texts' },
    });
    expect(streams.at(-1)).toEqual({
      name: 'pretraining',
      dataset: 'pretraining',
      split: 'train',
      draws: { batch: 7 },
      joins: ['demonstrations'],
    });
    expect(joins).toContain('demonstrations');
    expect(specOf(parseRunConfig(example)).streams).toEqual(streams.slice(0, -1));
  });
});

describe('the objective penalty', () => {
  it.each(['cliprangeHigh', 'dualClip'])('refuses %s, which it would not use', (name) => {
    const settings = { [name]: 3 };
    expect(mistakes({ ppo: settings })).toEqual([]);
    expect(mistakes({ ppo: { objective: 'penalty', ...settings } })).toEqual([
      `ppo.${name}: expected none with the objective penalty, which clips no ratio, got 3`,
    ]);
  });
});

describe('a value head on the trunk of the policy', () => {
  it('is no model that a run names, and starts as the policy does', () => {
    const config = parseRunConfig({ ...example, value: 'shared' });
    const { models, trains } = specOf(config);
    expect(models.map(({ name }) => name)).not.toContain('value');
    expect(trains).toMatchObject([{ role: 'policy' }, { role: 'value', from: 'policy', trunk: 'policy' }]);
    expect(namedSources(config).map(({ path }) => path.join('.'))).not.toContain('value');
  });

  it('is another than a model of its own, whatever its name', () => {
    const config = parseRunConfig({ ...example, value: './shared' });
    expect(specOf(config).trains[1]).not.toHaveProperty('trunk');
    expect(namedSources(config)).toContainEqual({
      kind: 'model',
      path: ['value'],
      source: { from: 'path', path: './shared' },
      text: './shared',
    });
  });
});
