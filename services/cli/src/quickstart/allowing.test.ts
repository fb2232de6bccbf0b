import { expect, it } from 'vitest';
import { CliError } from '../errors.js';
import { asOption } from './allowing.js';

const failed = (code: string, message: string) =>
  new CliError('CLI_RUN_FAILED', message, { cause: { code } });

it('names the option of the quickstart where a run names its setting', () => {
  const error = failed('RUN_DATA_LOST', 'too much, or accept it with allow: { dropped: 0.3, cut: 1 }');
  expect(asOption(error)).toMatchObject({
    code: 'CLI_RUN_FAILED',
    message: 'too much, or accept it with --allow dropped=0.3,cut=1',
    cause: { code: 'RUN_DATA_LOST' },
  });
});

it.each([failed('RUN_STALLED', 'allow: { cut: 1 }'), new Error('allow: { cut: 1 }'), 'nothing'])(
  'leaves %s as it is',
  (error) => {
    expect(asOption(error)).toBe(error);
  },
);
