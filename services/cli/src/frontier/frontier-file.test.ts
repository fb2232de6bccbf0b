import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { parseFrontier } from './frontier-file.js';
import { allRuns } from './plan.js';

const readme = await readFile(new URL('../../README.md', import.meta.url), 'utf8');
const example = parse(/```yaml\n(# frontier\.yaml[\s\S]*?)```/.exec(readme)![1]!);

/** The example with another value at a path; undefined leaves it out. */
function changed(path: string, value: unknown): unknown {
  const copy = structuredClone(example);
  const keys = path.split('/');
  const inner = keys.slice(0, -1).reduce((object, key) => object[key], copy);
  if (value === undefined) delete inner[keys.at(-1)!];
  else inner[keys.at(-1)!] = value;
  return copy;
}

describe('the frontier of the README', () => {
  const plan = parseFrontier(example, 'frontier.yaml');

  it('trains every setting with every seed, and judges its versions', () => {
    expect(plan.members).toHaveLength(2 * 4 * 3);
    const [dpo] = plan.members;
    expect(dpo).toMatchObject({ member: 'dpo', values: { 'dpo.beta': 0.05 }, seed: 0 });
    expect(dpo!.run).toMatchObject({
      run: 'dpo-or-ppo.dpo.beta-0.05.s0',
      seed: 0,
      dpo: { beta: 0.05 },
      checkpointEvery: 12,
    });
    expect(dpo!.evaluations.map(({ step }) => step)).toEqual([12, 24, 36, 48, 60, 70]);
    expect(dpo!.evaluations.at(-1)!.run).toMatchObject({
      method: 'sample',
      model: 'run:dpo-or-ppo.dpo.beta-0.05.s0@70',
      reference: 'run:sft',
      testPrompts: true,
      steps: 1,
      batchSize: 128,
    });
    expect(plan.reference).toMatchObject({ run: 'dpo-or-ppo.reference', model: 'run:sft' });
  });

  it('names every run once, and no version that is not published', () => {
    const runs = allRuns(plan);
    expect(new Set(runs.map(({ run }) => run)).size).toBe(runs.length);
    expect(plan.members.at(-1)!.evaluations.map(({ step }) => step)).toEqual([12, 24]);
  });
});

it('a sweep of several settings is every combination of their values', () => {
  const sweep = { 'dpo.beta': [0.1, 1], 'optimizer.learningRate': [1e-4, 1e-3], 'dpo.lossType': ['ipo'] };
  const { members } = parseFrontier(changed('members/dpo/sweep', sweep), 'f');
  const dpo = members.filter(({ member, seed }) => member === 'dpo' && seed === 0);
  expect(dpo.map(({ run }) => run.run)).toEqual([
    'dpo-or-ppo.dpo.beta-0.1.learningrate-0.0001.losstype-ipo.s0',
    'dpo-or-ppo.dpo.beta-0.1.learningrate-0.001.losstype-ipo.s0',
    'dpo-or-ppo.dpo.beta-1.learningrate-0.0001.losstype-ipo.s0',
    'dpo-or-ppo.dpo.beta-1.learningrate-0.001.losstype-ipo.s0',
  ]);
  expect(dpo[1]!.run).toMatchObject({
    dpo: { beta: 0.1, lossType: 'ipo' },
    optimizer: { learningRate: 1e-3 },
  });
});

describe('a mistake is named by its path in the file', () => {
  it.each<[string, unknown, RegExp]>([
    ['frontier', undefined, /frontier: /],
    ['seeds', [], /seeds: expected at least 1/],
    ['members', {}, /members: expected at least one member/],
    ['members/dpo/run/steps', 0, /members\.dpo\.run\.steps: expected .*got 0/],
    ['members/dpo/run/steps', undefined, /members\.dpo\.run\.steps: /],
    ['members/dpo/run/seed', 4, /members\.dpo\.run\.seed: expected to be left out/],
    ['members/dpo/run/modle', 'x', /members\.dpo\.run\.modle: no such setting; did you mean model\?/],
    ['members/dpo/run/method', 'dpoo', /members\.dpo\.run\.method: expected one of .*did you mean dpo\?/],
    [
      'members/dpo/run/checkpointEvery',
      5,
      /members\.dpo\.run\.checkpointEvery: expected a divisor of evaluate\.every, 12/,
    ],
    [
      'members/dpo/sweep',
      { 'dpo.beta': [0.1, -1] },
      /members\.dpo\.sweep\["dpo\.beta"\]\[1\]: expected .*got -1/,
    ],
    ['members/dpo/sweep', { 'dpo.bta': [0.1] }, /members\.dpo\.sweep\["dpo\.bta"\]\[0\]: no such setting/],
    ['members/dpo/sweep', { 'dpo.beta': [] }, /members\.dpo\.sweep\["dpo\.beta"\]: expected at least 1/],
    ['members/dpo/sweep', { 'dpo.beta': [0.1, 0.1] }, /expected a name that no other run of the set has/],
    ['members/ppo/run/testFraction', 0.01, /members\.ppo\.run\.testFraction: expected at least 0\.1/],
    ['members/Dpo', { run: {} }, /members\.Dpo: .*expected a name of a-z/],
    ['evaluate/every', 0, /evaluate\.every: expected at least 1/],
    ['evaluate/reference', undefined, /evaluate\.reference: expected the policy that KL is measured from/],
    ['evaluate/scorers', [], /evaluate\.scorers: expected a list of scorers/],
    ['evaluate/scorer', ['x'], /evaluate\.scorer: no such setting; did you mean scorers\?/],
    ['evaluate/sampling/temperature', -1, /evaluate\.sampling\.temperature: expected .*got -1/],
    ['evaluate/steps', 3, /evaluate\.steps: expected to be left out/],
    ['runs', [{ run: 'sft', method: 'sft' }], /runs\[0\]\.model: /],
  ])('%s', (path, value, message) => {
    expect(() => parseFrontier(changed(path, value), 'f.yaml')).toThrow(
      expect.objectContaining({ code: 'CLI_FILE_INVALID', message: expect.stringMatching(message) }),
    );
  });

  it('once, however many runs it is in, and a method that trains no policy is refused', () => {
    const run = { method: 'reward', model: 'run:sft', data: 'p.jsonl', steps: 12 };
    let message = '';
    try {
      parseFrontier(changed('members/dpo', { run }), 'f.yaml');
    } catch (error) {
      message = (error as Error).message;
    }
    expect(message.split('\n')).toEqual([
      'f.yaml is not a frontier:',
      '  members.dpo.run.method: expected a method that trains a policy, got reward',
    ]);
  });
});
