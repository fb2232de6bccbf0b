import { getEventListeners } from 'node:events';
import { describe, expect, it } from 'vitest';
import { createBell } from './bell.js';
import { linked, unlessEnded } from './signals.js';

const never = new Promise<never>(() => {});

describe('a linked signal', () => {
  it('aborts with either source, and leaves nothing there when released', () => {
    const [first, second] = [new AbortController(), new AbortController()];
    const released = linked(first.signal, undefined, second.signal);
    released.release();
    const link = linked(first.signal, second.signal);
    second.abort();
    expect(link.signal.aborted).toBe(true);
    link.release();
    expect(released.signal.aborted).toBe(false);
    expect(getEventListeners(first.signal, 'abort')).toEqual([]);
    expect(linked(second.signal).signal.aborted).toBe(true);
  });
});

describe('unlessEnded', () => {
  it('gives what comes first: the result, the end, or the signal', async () => {
    const controller = new AbortController();
    const { signal } = controller;
    const end = performance.now() + 60_000;
    const late = () => new Error('late');
    expect(await unlessEnded(Promise.resolve(1), { end, signal, late })).toBe(1);
    await expect(unlessEnded(never, { end: performance.now(), signal, late })).rejects.toThrow('late');
    expect(getEventListeners(signal, 'abort')).toEqual([]);
    const stopped = expect(unlessEnded(never, { end, signal, late })).rejects.toMatchObject({
      code: 'LOG_CLOSED',
    });
    controller.abort();
    await stopped;
  });
});

describe('a bell', () => {
  it('is heard by who waits, and by the next who does if nobody did', async () => {
    const bell = createBell();
    const heard = bell.rung();
    bell.ring();
    await heard;
    bell.ring();
    bell.ring();
    await bell.rung();
    await bell.rung(1);
    const again = bell.rung(60_000);
    bell.ring();
    await again;
  });
});
