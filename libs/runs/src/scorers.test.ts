import { describe, expect, it } from 'vitest';
import { namedModels } from './named-models.js';
import { parseRunConfig, runConfigMistakes } from './run-config.js';
import { scorersOf } from './scorers.js';

const ppo = { run: 'r', method: 'ppo', steps: 5, model: 'm', prompts: 'd' };
const scorersIn = (scorers: readonly unknown[]) => scorersOf(parseRunConfig({ ...ppo, scorers }));
const namesAndWeights = (scorers: readonly unknown[]) =>
  scorersIn(scorers).map(({ name, weight }) => [name, weight]);
const mistakes = (scorers: unknown) =>
  runConfigMistakes({ ...ppo, scorers }).map(({ path, message }) => `${path.join('.')}: ${message}`);

describe('the scorers of a run', () => {
  it('are sources of which the first one rewards', () => {
    expect(namesAndWeights(['run:rm', 'gold:d.jsonl', 'models/other', 'declared:judge'])).toEqual([
      ['rm', 1],
      ['gold', 0],
      ['other', 0],
      ['judge', 0],
    ]);
  });

  it('have the weights and names that are given', () => {
    const rule = { length: { unit: 'words' } };
    const entries = [
      { scorer: 'run:rm', weight: 0.5, name: 'taste' },
      { rule, weight: -0.01 },
      { ensemble: { members: ['run:a', 'run:b'] } },
      'run:c',
    ];
    expect(namesAndWeights(entries)).toEqual([
      ['taste', 0.5],
      ['length', -0.01],
      ['ensemble', 0],
      ['c', 0],
    ]);
    expect(scorersIn(entries)[1]).toMatchObject({ rule });
    expect(scorersIn(entries)[2]).toMatchObject({ ensemble: { combine: 'mean', k: 1 } });
  });

  it('never share a name, also those that earlier builds gave one', () => {
    expect(namesAndWeights(['gold:a', 'gold:b', 'run:gold']).map(([name]) => name)).toEqual([
      'gold',
      'gold-2',
      'gold-3',
    ]);
  });

  it('name the models that they consist of, by role and by where the configuration has them', () => {
    const config = parseRunConfig({
      ...ppo,
      scorers: [
        'declared:judge',
        { rule: { format: 'json' } },
        { scorer: 'run:rm' },
        { ensemble: { members: ['run:a', 'declared:judge', 'gold:d'] } },
      ],
    });
    const models = namedModels(config).filter(({ role }) => role.name === 'scorer');
    expect(models.map(({ name, field, source }) => [name, field, source.from])).toEqual([
      ['scorer.2', 'scorers[2].scorer', 'run'],
      ['scorer.3.0', 'scorers[3].ensemble.members[0]', 'run'],
      ['scorer.3.2', 'scorers[3].ensemble.members[2]', 'gold'],
    ]);
  });
});

describe('a mistake in a scorer is told by its path:', () => {
  it.each<[string, unknown, string]>([
    ['none of the kinds', { weight: 1 }, 'scorers.0: expected exactly one of scorer, ensemble, rule'],
    ['two of them', { scorer: 'run:a', rule: { format: 'json' } }, 'expected exactly one of scorer'],
    ['a rule of nothing', { rule: {} }, 'scorers.0.rule: expected exactly one of length, lengthWithin'],
    [
      'a pattern that RE2 cannot read',
      { rule: { matches: '(a' } },
      'scorers.0.rule.matches: expected a regular',
    ],
    ['a pattern that could take exponential time', { rule: { matches: '(a)\\1' } }, 'invalid escape'],
    ['a pattern that would take much memory', { rule: { matches: '((a{99}){99}){99}' } }, 'repeat count'],
    ['an ensemble of one', { ensemble: { members: ['run:a'] } }, 'scorers.0.ensemble.members: expected list'],
    ['an unknown setting', { scorer: 'run:a', wieght: 1 }, 'did you mean weight?'],
    ['a declared scorer of no name', 'declared:a b', 'expected declared:NAME'],
    ['a run of no id within', { scorer: 'run:A B' }, 'scorers.0.scorer: expected run:ID'],
    [
      'no weight that rewards',
      { scorer: 'run:a', weight: 0 },
      'scorers: expected a scorer whose weight is not 0',
    ],
  ])('%s', (_, scorer, said) => {
    expect(mistakes([scorer])).toEqual([expect.stringContaining(said)]);
  });
});
