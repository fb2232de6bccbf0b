import { describe, expect, it, vi } from 'vitest';
import { withDeadline } from './deadline.js';

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
