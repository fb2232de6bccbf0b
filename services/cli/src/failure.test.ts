import { expect, it } from 'vitest';
import { CliError } from './errors.js';
import { failureOf } from './failure.js';

const failed = (code: string, message = 'it was so') =>
  new CliError('CLI_RUN_FAILED', `run r failed: ${message}`, { cause: { code, message } });

it.each<[string, unknown, string, number]>([
  ['a refusal', new CliError('CLI_FILE_INVALID', 'no'), 'no (CLI_FILE_INVALID)', 2],
  ['settings', Object.assign(new Error('no'), { code: 'RUNTIME_SETTINGS' }), 'no (RUNTIME_SETTINGS)', 2],
  [
    'an extension',
    Object.assign(new Error('no'), { code: 'RUN_NOT_EXTENDABLE' }),
    'no (RUN_NOT_EXTENDABLE)',
    2,
  ],
  ['data', Object.assign(new Error('no'), { code: 'DATA_NOT_FOUND' }), 'no (DATA_NOT_FOUND)', 2],
  ['a run asked for wrongly', failed('RUN_SOURCE_UNFIT'), 'run r failed: it was so (RUN_SOURCE_UNFIT)', 2],
  ['a run that broke', failed('OPTIMIZER_FAILED'), 'run r failed: it was so (OPTIMIZER_FAILED)', 1],
  [
    'a code that is said',
    failed('DATA_EMPTY', 'no row (DATA_EMPTY)'),
    'run r failed: no row (DATA_EMPTY)',
    2,
  ],
  ['a run that was cancelled', new CliError('CLI_RUN_FAILED', 'cancelled'), 'cancelled (CLI_RUN_FAILED)', 1],
  ['a locked folder', Object.assign(new Error('no'), { code: 'LOG_LOCKED' }), 'no (LOG_LOCKED)', 1],
  [
    'a thread without its engine',
    Object.assign(
      new Error('thread policy-0 died: no GPU', { cause: { code: 'TENSOR_DEVICE_UNAVAILABLE' } }),
      {
        code: 'THREAD_EXITED',
      },
    ),
    'thread policy-0 died: no GPU (TENSOR_DEVICE_UNAVAILABLE)',
    2,
  ],
  ['a bug', new TypeError('x is not a function'), 'x is not a function', 1],
  ['an interruption', new CliError('CLI_INTERRUPTED', 'kept'), 'kept', 130],
])('%s', (_, error, text, exitCode) => {
  expect(failureOf(error)).toEqual({ text, exitCode });
});
