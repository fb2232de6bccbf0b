import { expect, it } from 'vitest';
import { LogError, type LogErrorCode } from './errors.js';

it.each<[LogErrorCode, Partial<LogError>]>([
  ['LOG_UNAVAILABLE', { unavailable: true, retriable: true, fenced: false }],
  ['LOG_DENIED', { unavailable: true, retriable: true, fenced: false }],
  ['LOG_FENCED', { unavailable: false, retriable: true, fenced: true }],
  ['LOG_RECORD_TOO_LARGE', { unavailable: false, retriable: false, fenced: false }],
  ['LOG_CLOSED', { unavailable: false, retriable: true, fenced: false }],
])('%s says what to do', (code, expected) => {
  expect(new LogError(code, 'x')).toMatchObject({ code, ...expected });
});
