import { describe, expect, it } from 'vitest';
import { namedModels } from '../named-models.js';
import { parseRunConfig, runConfigMistakes } from '../run-config.js';
import { type ConfigOf, specOf } from './index.js';

const run = { run: 'r', method: 'dpo', steps: 5, model: 'm', data: 'd' };
const mistakesOf = (json: object) =>
  runConfigMistakes(json).map(({ path, message }) => `${path.join('.')}: ${message}`);

describe('a run of DPO', () => {
  it("has TRL's defaults, and those of DPO itself", () => {
    const { dpo } = parseRunConfig(run) as ConfigOf<'dpo'>;
    expect(dpo).toEqual({
      beta: 0.1,
      lossType: 'sigmoid',
      labelSmoothing: 0,
      alpha: 0,
      simpoGamma: 0.5,
      pairs: 'all',
      maxLength: 1024,
    });
  });

  it('joins log-probs under a reference, which is the policy where none is named', () => {
    const { joins, models } = specOf(parseRunConfig(run));
    expect(joins).toEqual(['comparisons', 'reference-logprobs']);
    expect(models.map(({ name, otherwise }) => [name, otherwise])).toEqual([
      ['policy', undefined],
      ['reference', 'the policy'],
    ]);
  });

  it('by SimPO has no reference, and none may be named', () => {
    const simpo = { ...run, dpo: { lossType: 'simpo' } };
    const { joins, models } = specOf(parseRunConfig(simpo));
    expect(joins).toEqual(['comparisons']);
    expect(models.map(({ name }) => name)).toEqual(['policy']);
    expect(namedModels(parseRunConfig(simpo)).map(({ name }) => name)).toEqual(['policy']);
    expect(mistakesOf({ ...simpo, reference: 'run:sft' })).toEqual([
      expect.stringContaining('reference: expected none with the lossType simpo'),
    ]);
  });

  it.each(['sigmoid', 'robust', 'hinge'])('takes alpha with lossType %s', (lossType) => {
    expect(mistakesOf({ ...run, dpo: { lossType, alpha: 0.05 } })).toEqual([]);
  });

  it.each(['ipo', 'sigmoid_norm', 'simpo'])('is refused for alpha with lossType %s', (lossType) => {
    expect(mistakesOf({ ...run, dpo: { lossType, alpha: 0.05 } })).toEqual([
      'dpo.alpha: expected 0, or a lossType that compares lengths: sigmoid, robust, hinge, got 0.05',
    ]);
    expect(mistakesOf({ ...run, dpo: { lossType, alpha: 0 } })).toEqual([]);
  });
});
