import { getEventListeners } from 'node:events';
import { expect, it } from 'vitest';
import { linked, untilAborted } from './signals.js';

const listenersOf = (signal: AbortSignal) => getEventListeners(signal, 'abort').length;

it('aborts with the first of its sources, for its reason', () => {
  const [first, second] = [new AbortController(), new AbortController()];
  const { signal } = linked(first.signal, undefined, second.signal);
  expect(signal.aborted).toBe(false);
  second.abort('second');
  first.abort('first');
  expect(signal.reason).toBe('second');
  expect(linked(first.signal).signal.reason).toBe('first');
});

it('leaves no listener at a source that lives on', async () => {
  const { signal } = new AbortController();
  const { release } = linked(signal);
  expect(listenersOf(signal)).toBe(1);
  release();
  expect(listenersOf(signal)).toBe(0);
  expect(await untilAborted(Promise.resolve(7), signal)).toBe(7);
  await expect(untilAborted(Promise.reject(new Error('no')), signal)).rejects.toThrow('no');
  expect(listenersOf(signal)).toBe(0);
});

it('waits no longer than its signal, whatever the work does', async () => {
  const controller = new AbortController();
  const waiting = untilAborted(new Promise(() => {}), controller.signal);
  controller.abort(new Error('left'));
  await expect(waiting).rejects.toThrow('left');
  await expect(untilAborted(Promise.reject(new Error('unheard')), controller.signal)).rejects.toThrow('left');
});
