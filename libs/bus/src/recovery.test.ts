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

it.each(['ENOSPC', 'TRAINING_CHECKPOINT_TOO_NEW'])('what others can mend is waited for: %s', (code) => {
  const error = Object.assign(new Error('no'), { code });
  expect([isRetriable(error), isUnavailable(error)]).toEqual([true, true]);
});
