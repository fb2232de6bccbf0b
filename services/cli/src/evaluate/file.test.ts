import { describe, expect, it } from 'vitest';
import { planEvaluation } from './read-file.js';

const suites = {
  wins: { name: 'wins', kind: 'win_rate', prompts: 'bundled', judges: ['gold:bundled', 'feedback:people'] },
  toxic: { name: 'toxic', kind: 'toxicity', prompts: 'p.jsonl', scorers: ['run:toxicity'] },
  facts: { name: 'facts', kind: 'multiple_choice', data: 'bundled:everyday', slices: ['topic'] },
};
const file = {
  evaluation: 'check',
  policies: { sft: 'run:sft', ppo: 'run:ppo' },
  reference: 'run:sft',
  sampling: { temperature: 1 },
  suites: [suites.wins, suites.facts],
};

describe('an evaluation', () => {
  it('is a run for each suite and policy, that the log takes as one experiment', () => {
    const { experiment } = planEvaluation(file, 'e.yaml');
    expect(experiment.experiment).toBe('check');
    expect(experiment.runs.map(({ run, method, model }) => [run, method, model])).toEqual([
      ['check.wins.sft', 'sample', 'run:sft'],
      ['check.wins.ppo', 'sample', 'run:ppo'],
      ['check.facts.sft', 'evaluate', 'run:sft'],
      ['check.facts.ppo', 'evaluate', 'run:ppo'],
    ]);
    // People judge what was sampled: they are no scorer of the run.
    expect(experiment.runs[0]).toMatchObject({
      scorers: ['gold:bundled'],
      reference: 'run:sft',
      testFraction: 0,
      epochs: 1,
      sampling: { temperature: 1 },
    });
    expect(experiment.runs[2]).toMatchObject({ keep: ['topic'] });
  });

  it('has the completions of its data judged as samples are, for a policy alone too', () => {
    const wins = { ...suites.wins, against: 'completions' };
    const alone = { ...file, policies: { ppo: 'run:ppo' }, suites: [wins] };
    const { experiment } = planEvaluation(alone, 'e.yaml');
    expect(experiment.runs).toMatchObject([
      { run: 'check.wins.ppo', completions: 'sampled' },
      { run: 'check.wins.completions', completions: 'given', model: 'run:ppo', scorers: ['gold:bundled'] },
    ]);
  });

  it('lets policies answer the prompts of the one they are compared with, where a judge is to see pairs', () => {
    const judges = [{ pairs: 'declared:llm' }, 'gold:bundled'];
    const planned = (change: object) =>
      planEvaluation(
        { ...file, suites: [{ ...suites.wins, judges, slices: ['label'], ...change }] },
        'e.yaml',
      );
    const { experiment } = planned({ heldOut: true });
    expect(experiment.runs).toMatchObject([
      {
        run: 'check.wins.sft',
        prompts: 'bundled',
        testPrompts: true,
        keep: ['label'],
        scorers: ['gold:bundled'],
      },
      { prompts: 'run:check.wins.sft', testPrompts: false, testFraction: 0, keep: [], once: true },
    ]);
    expect(experiment.runs[1]).toMatchObject({ scorers: ['declared:llm', 'gold:bundled'] });
    const given = planned({ against: 'completions' }).experiment.runs;
    expect(given[0]).toMatchObject({
      keep: ['label', 'completion'],
      scorers: ['declared:llm', 'gold:bundled'],
    });
    expect(given[2]).toMatchObject({ completions: 'given', scorers: ['gold:bundled'] });
    expect(() => planned({ against: ['sft', 'ppo'] })).toThrow(
      'suites[0].judges[0]: expected one policy to compare with, got against: sft, ppo',
    );
  });

  it('limits rows, keeps to held-out prompts, and takes several answers, where it says so', () => {
    const toxic = { ...suites.toxic, heldOut: true, limit: 7, samples: 5, perPrompt: 'max', above: 0.5 };
    const { experiment } = planEvaluation({ ...file, suites: [toxic] }, 'e.yaml');
    expect(experiment.runs[1]).toMatchObject({
      steps: 1,
      batchSize: 7,
      samplesPerPrompt: 5,
      testPrompts: true,
      testFraction: 0.1,
    });
  });
});

describe('a mistake in an evaluation', () => {
  const said = (change: object): string => {
    try {
      planEvaluation({ ...file, ...change }, 'e.yaml');
    } catch (error) {
      return (error as Error).message;
    }
    throw new Error('expected an error, got none');
  };
  const { judges: _, ...judgeless } = suites.wins;
  const { scorers: __, ...scorerless } = suites.toxic;

  it.each([
    ['no policy', { policies: {} }, 'policies: expected a policy at least, got none'],
    ['another baseline', { baseline: 'dpo' }, 'baseline: expected one of the policies sft, ppo, got dpo'],
    [
      'one policy to compare',
      { policies: { sft: 'run:sft' } },
      'policies: expected two at least, for suite wins',
    ],
    [
      'a policy that is called as the data are',
      { policies: { sft: 'run:sft', completions: 'run:ppo' } },
      'policies.completions: expected another name',
    ],
    [
      'nobody to compare with',
      { suites: [{ ...suites.wins, against: 'gpt' }] },
      'suites[0].against: expected one of the policies sft, ppo, or completions, got gpt',
    ],
    ['no judge', { suites: [judgeless] }, 'suites[0].judges: expected judges: a list of scorers'],
    ['no classifier', { suites: [scorerless] }, 'no list of words is a classifier'],
    [
      'a list of words',
      { suites: [{ ...suites.toxic, scorers: [{ rule: { matches: 'ugly|bad' } }] }] },
      'suites[0].scorers: expected a classifier of toxicity, got a rule: no list of words is a classifier',
    ],
    [
      'one name twice',
      { suites: [suites.facts, suites.facts] },
      'suites[1].name: expected another name than suites[0] has, got facts',
    ],
    [
      'a setting of the runs, once for all policies',
      { suites: [{ ...suites.facts, batchSize: 0 }] },
      'e.yaml is not an evaluation:\n  suites[0].batchSize: expected integer from 1 to 65536, got 0',
    ],
    [
      'a judge behind people',
      { suites: [{ ...suites.wins, judges: ['feedback:people', 'run:NO'] }] },
      'suites[0].judges[1]: ',
    ],
    ['a model', { policies: { sft: 'run:sft', ppo: 7 } }, 'policies.ppo: '],
    [
      'sampling of all suites',
      { sampling: { temprature: 1 } },
      'sampling.temprature: no such setting; did you mean temperature?',
    ],
    [
      'an unknown kind',
      { suites: [{ ...suites.facts, kind: 'vibes' }] },
      'suites[0].kind: expected one of win_rate,',
    ],
    [
      'a set that is not there',
      { suites: [{ ...suites.facts, data: 'bundled:mmlu' }] },
      'suites[0].data: expected bundled',
    ],
  ])('is told by its path: %s', (_, change, message) => {
    expect(said(change)).toContain(message);
  });
});
