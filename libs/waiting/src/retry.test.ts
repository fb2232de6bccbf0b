import { describe, expect, it, vi } from 'vitest';
import { retry } from './retry.js';

describe('retry', () => {
  const failing = (error: Error) => vi.fn(async () => Promise.reject(error));
  const always = () => true;

  it('tries again up to its limit and throws the last error', async () => {
    const work = failing(new Error('no'));
    await expect(retry(work, { shouldRetry: always, retries: 2, minDelayMs: 0 })).rejects.toThrow('no');
    expect(work).toHaveBeenCalledTimes(3);
  });

  it.each([
    ['what it is told not to', new Error('for good')],
    ['a bug', new TypeError('x is not a function')],
  ])('does not try again what cannot succeed: %s', async (_, error) => {
    const work = failing(error);
    const shouldRetry = ({ message }: Error) => message !== 'for good';
    await expect(retry(work, { shouldRetry, minDelayMs: 0 })).rejects.toBe(error);
    expect(work).toHaveBeenCalledTimes(1);
  });

  it('says nothing of another attempt when the work was aborted: there is none', async () => {
    const controller = new AbortController();
    const onRetry = vi.fn();
    const work = vi.fn(async () => {
      controller.abort(new Error('left'));
      throw new Error('cut short');
    });
    await expect(
      retry(work, { shouldRetry: always, minDelayMs: 0, signal: controller.signal, onRetry }),
    ).rejects.toThrow();
    expect(work).toHaveBeenCalledTimes(1);
    expect(onRetry).not.toHaveBeenCalled();
  });

  it('stops waiting when aborted', async () => {
    const controller = new AbortController();
    const work = failing(new Error('no'));
    const onRetry = () => controller.abort(new Error('left'));
    await expect(
      retry(work, {
        shouldRetry: always,
        minDelayMs: 60_000,
        maxDelayMs: 60_000,
        signal: controller.signal,
        onRetry,
      }),
    ).rejects.toThrow('left');
    expect(work).toHaveBeenCalledTimes(1);
  });
});
