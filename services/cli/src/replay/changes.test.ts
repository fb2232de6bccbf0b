import { describe, expect, it } from 'vitest';
import { CliError } from '../errors.js';
import { parseChange } from './changes.js';

describe('--set', () => {
  it.each<[string, string, unknown]>([
    ['ppo.klCoef=.1', 'ppo.klCoef', 0.1],
    ['optimizer.learningRate=1.0e-4', 'optimizer.learningRate', 1e-4],
    ['steps=7', 'steps', 7],
    ['ppo.whitenRewards=true', 'ppo.whitenRewards', true],
    ['optimizer.schedule=cosine', 'optimizer.schedule', 'cosine'],
    ['x="7"', 'x', '7'],
    ['x=a=b', 'x', 'a=b'],
    ['x=', 'x', null],
  ])('%s is a path and a value of YAML', (text, path, value) => {
    expect(parseChange(text)).toEqual([path, value]);
  });

  it.each([
    ['ppo.klCoef', /path=value/],
    ['=1', /path=value/],
    ['ppo.=1', /path=value/],
    ['ppo..klCoef=1', /path=value/],
    ['ppo={klCoef: 1}', /one value, got \{klCoef: 1\}/],
    ['scorers=[a]', /one value/],
    ['x="unclosed', /one value/],
    ['run=other', /--as/],
    ['replay=other', /argument/],
  ])('%s is refused', (text, said) => {
    const refusal = (() => {
      try {
        return parseChange(text);
      } catch (error) {
        return error;
      }
    })();
    expect(refusal).toBeInstanceOf(CliError);
    expect(refusal).toMatchObject({ code: 'CLI_REPLAY_REFUSED', message: expect.stringMatching(said) });
  });
});
