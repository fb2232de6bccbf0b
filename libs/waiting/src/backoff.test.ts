import { expect, it } from 'vitest';
import { backoff } from './backoff.js';

const aborted = AbortSignal.abort();

it('doubles up to its limit, and begins anew after progress', async () => {
  const delays = backoff({ minDelayMs: 1000, maxDelayMs: 3000 });
  const lasted: number[] = [];
  for (let pauses = 0; pauses < 4; pauses++) {
    lasted.push(delays.nextMs);
    await delays.pause(aborted);
  }
  expect(lasted).toEqual([1000, 2000, 3000, 3000]);
  delays.reset();
  expect(delays.nextMs).toBe(1000);
});

it('never lasts longer than its limit', () => {
  expect(backoff({ minDelayMs: 1000, maxDelayMs: 100 }).nextMs).toBe(100);
});
