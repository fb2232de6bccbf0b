import { EventError } from '@rlhf-streams/events';
import { LogError } from '@rlhf-streams/log';
import { expect, it } from 'vitest';
import { z } from 'zod';
import { RuntimeError } from './errors.js';
import { isRetriable, isUnavailable } from './recovery.js';

it.each([
  ['marked so', Object.assign(new Error('no'), { retriable: false })],
  ['a bad event', new EventError('EVENT_INVALID', 'no')],
  ['bad data', z.object({ a: z.string() }).safeParse({}).error!],
])('what cannot succeed is not retriable: %s', (_, error) => {
  expect(isRetriable(error)).toBe(false);
  expect(isUnavailable(error)).toBe(false);
});

it.each([
  ['a full disk', Object.assign(new Error('no space left on device'), { code: 'ENOSPC' })],
  ['what a service waits for', new RuntimeError('RUNTIME_UNAVAILABLE', 'no')],
  ['a log without a broker', new LogError('LOG_UNAVAILABLE', 'no')],
  ['a log without room', new LogError('LOG_WRITE_FAILED', 'no')],
  ['a log that lets nobody in', new LogError('LOG_DENIED', 'no')],
])('what others can mend is waited for: %s', (_, error) => {
  expect([isRetriable(error), isUnavailable(error)]).toEqual([true, true]);
});

it.each([
  ['a fault of ours', new TypeError('x is not a function')],
  ['a log that another process has open', new LogError('LOG_LOCKED', 'no')],
  ['a service that stops', new RuntimeError('RUNTIME_STOPPED', 'no')],
  ['nothing at all', undefined],
])('is tried again, but not waited for: %s', (_, error) => {
  expect([isRetriable(error), isUnavailable(error)]).toEqual([true, false]);
});
