import { parseRunConfig } from '@rlhf-streams/runs';
import type { Declarations } from '@rlhf-streams/scorers';
import { describe, expect, it } from 'vitest';
import { admitDeclared } from './declared.js';

const declared = (...names: readonly string[]): Declarations =>
  new Map(
    names.map((name, index) => [name, { declaration: {} as never, sha256: `${index}`.repeat(64) }] as const),
  );
const config = (scorers: readonly unknown[]) =>
  parseRunConfig({ run: 'r', method: 'ppo', steps: 1, model: 'm', prompts: 'd', scorers });

describe('declared scorers of a run', () => {
  it('are told by role, with the hashes of their declarations', () => {
    const scorers = ['run:rm', { scorer: 'declared:b' }, { ensemble: { members: ['run:x', 'declared:a'] } }];
    expect(admitDeclared(config(scorers), declared('a', 'b'))).toEqual({
      'scorer.1': { name: 'b', sha256: '1'.repeat(64) },
      'scorer.2.1': { name: 'a', sha256: '0'.repeat(64) },
    });
    expect(admitDeclared(config(['run:rm']), declared())).toBeUndefined();
  });

  it('that nobody declared refuse the run, each where it is named', () => {
    const scorers = ['declared:toxcity', { ensemble: { members: ['declared:q', 'declared:toxicity'] } }];
    expect(() => admitDeclared(config(scorers), declared('toxicity'))).toThrow(
      expect.objectContaining({
        code: 'RUN_SCORER_UNDECLARED',
        message:
          'scorers[0]: declared:toxcity: expected a scorer that the file of RLHF_SCORERS declares; did you mean toxicity?\n' +
          'scorers[1].ensemble.members[0]: declared:q: expected a scorer that the file of RLHF_SCORERS declares; there are toxicity',
      }),
    );
    expect(() => admitDeclared(config(['declared:a']), declared())).toThrow(/there is none/);
  });
});
