import { getEventListeners } from 'node:events';
import { describe, expect, it, vi } from 'vitest';
import { withDeadline, within } from './deadline.js';
import { retry } from './retry.js';
import { linked } from './signals.js';

describe('withDeadline', () => {
  it('gives the result, of a promise or a function', async () => {
    expect(await withDeadline(Promise.resolve(1), { ms: 1000, late: 'one' })).toBe(1);
    expect(await withDeadline(() => 2, { ms: 1000, late: 'two' })).toBe(2);
    await expect(
      withDeadline(() => Promise.reject(new Error('no')), { ms: 1000, late: 'it' }),
    ).rejects.toThrow('no');
    const fails = () => {
      throw new Error('at once');
    };
    await expect(withDeadline(fails, { ms: 1000, late: 'it' })).rejects.toThrow('at once');
  });

  it('names what was waited for, and tells the work', async () => {
    let told: AbortSignal | undefined;
    const never = (signal: AbortSignal) => {
      told = signal;
      return new Promise(() => {});
    };
    await expect(withDeadline(never, { ms: 1, late: 'the moon to rise' })).rejects.toMatchObject({
      code: 'RUNTIME_DEADLINE',
      message: 'expected the moon to rise within 1 ms',
    });
    expect(told?.aborted).toBe(true);
  });

  it("ends with the caller's signal, without calling work that is not wanted", async () => {
    const controller = new AbortController();
    const waiting = withDeadline(() => new Promise(() => {}), {
      ms: 60_000,
      late: 'it',
      signal: controller.signal,
    });
    controller.abort(new Error('left'));
    await expect(waiting).rejects.toThrow('left');
    const work = vi.fn();
    await expect(withDeadline(work, { ms: 60_000, late: 'it', signal: controller.signal })).rejects.toThrow(
      'left',
    );
    await expect(
      withDeadline(Promise.reject(new Error('handled')), {
        ms: 60_000,
        late: 'it',
        signal: controller.signal,
      }),
    ).rejects.toThrow('left');
    expect(work).not.toHaveBeenCalled();
  });
});

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

describe('within', () => {
  it('says whether the work ended in time, and throws what it threw by then', async () => {
    expect(await within(60_000, Promise.resolve())).toBe(true);
    expect(await within(1, new Promise(() => {}))).toBe(false);
    await expect(within(60_000, Promise.reject(new Error('no')))).rejects.toThrow('no');
  });
});

describe('a linked signal', () => {
  it('aborts with the first of its sources and for its reason, and leaves nothing there when released', () => {
    const [first, second] = [new AbortController(), new AbortController()];
    const released = linked(first.signal, undefined, second.signal);
    released.release();
    const link = linked(first.signal, second.signal);
    second.abort(new Error('left'));
    expect(link.signal.reason).toEqual(new Error('left'));
    link.release();
    expect(released.signal.aborted).toBe(false);
    expect(getEventListeners(first.signal, 'abort')).toEqual([]);
    expect(linked(second.signal).signal.aborted).toBe(true);
  });
});
