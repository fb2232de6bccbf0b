import { EventError } from '@rlhf-streams/events';
import { describe, expect, it, vi } from 'vitest';
import { z } from 'zod';
import { retry, withDeadline } from './deadline.js';

describe('withDeadline', () => {
  it('gives the result, of a promise or a function', async () => {
    expect(await withDeadline(Promise.resolve(1), 1000, 'one')).toBe(1);
    expect(await withDeadline(() => 2, 1000, 'two')).toBe(2);
    await expect(withDeadline(() => Promise.reject(new Error('no')), 1000, 'it')).rejects.toThrow('no');
    const fails = () => {
      throw new Error('at once');
    };
    await expect(withDeadline(fails, 1000, 'it')).rejects.toThrow('at once');
  });

  it('names what was waited for, and tells the work', async () => {
    let told: AbortSignal | undefined;
    const never = (signal: AbortSignal) => {
      told = signal;
      return new Promise(() => {});
    };
    await expect(withDeadline(never, 1, 'the moon to rise')).rejects.toMatchObject({
      code: 'RUNTIME_DEADLINE',
      message: 'expected the moon to rise within 1 ms',
    });
    expect(told?.aborted).toBe(true);
  });

  it("ends with the caller's signal, without calling work that is not wanted", async () => {
    const controller = new AbortController();
    const waiting = withDeadline(() => new Promise(() => {}), 60_000, 'it', controller.signal);
    controller.abort(new Error('left'));
    await expect(waiting).rejects.toThrow('left');
    const work = vi.fn();
    await expect(withDeadline(work, 60_000, 'it', controller.signal)).rejects.toThrow('left');
    await expect(
      withDeadline(Promise.reject(new Error('handled')), 60_000, 'it', controller.signal),
    ).rejects.toThrow('left');
    expect(work).not.toHaveBeenCalled();
  });
});

describe('retry', () => {
  const failing = (error: Error) => vi.fn(async () => Promise.reject(error));
  const schema = z.object({ a: z.string() });

  it('tries again up to its limit and throws the last error', async () => {
    const work = failing(new Error('no'));
    await expect(retry(work, { retries: 2, minDelayMs: 0 })).rejects.toThrow('no');
    expect(work).toHaveBeenCalledTimes(3);
  });

  it.each([
    ['marked so', Object.assign(new Error('no'), { retriable: false })],
    ['a bad event', new EventError('EVENT_INVALID', 'no')],
    ['bad data', schema.safeParse({}).error!],
    ['a bug', new TypeError('x is not a function')],
  ])('does not try again what cannot succeed: %s', async (_, error) => {
    const work = failing(error);
    await expect(retry(work, { minDelayMs: 0 })).rejects.toBe(error);
    expect(work).toHaveBeenCalledTimes(1);
  });

  it('says nothing of another attempt when the work was aborted: there is none', async () => {
    const controller = new AbortController();
    const onRetry = vi.fn();
    const work = vi.fn(async () => {
      controller.abort(new Error('left'));
      throw new Error('cut short');
    });
    await expect(retry(work, { minDelayMs: 0, signal: controller.signal, onRetry })).rejects.toThrow();
    expect(work).toHaveBeenCalledTimes(1);
    expect(onRetry).not.toHaveBeenCalled();
  });

  it('stops waiting when aborted', async () => {
    const controller = new AbortController();
    const work = failing(new Error('no'));
    const onRetry = () => controller.abort(new Error('left'));
    await expect(
      retry(work, { minDelayMs: 60_000, maxDelayMs: 60_000, signal: controller.signal, onRetry }),
    ).rejects.toThrow('left');
    expect(work).toHaveBeenCalledTimes(1);
  });
});
