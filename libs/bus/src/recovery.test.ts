import { EventError } from '@rlhf-streams/events';
import { expect, it } from 'vitest';
import { z } from 'zod';
import { isRetriable, isUnavailable } from './recovery.js';

it.each([
  ['marked so', Object.assign(new Error('no'), { retriable: false })],
  ['a bad event', new EventError('EVENT_INVALID', 'no')],
  ['bad data', z.object({ a: z.string() }).safeParse({}).error!],
])('what cannot succeed is not retriable: %s', (_, error) => {
  expect(isRetriable(error)).toBe(false);
  expect(isUnavailable(error)).toBe(false);
});

it('a full disk is waited for', () => {
  const full = Object.assign(new Error('no space left on device'), { code: 'ENOSPC' });
  expect([isRetriable(full), isUnavailable(full)]).toEqual([true, true]);
});
