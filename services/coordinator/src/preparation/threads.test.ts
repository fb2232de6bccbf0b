import { expect, it } from 'vitest';
import { preparationThreads } from './threads.js';
import type { Spinner } from './threads.test.child.js';

const threads = () => preparationThreads<Spinner>(new URL('./threads.test.child.js', import.meta.url));

it('a preparation that computes for ever holds up no other, and ends when it is no longer wanted', async () => {
  const { use } = threads();
  const unwanted = new AbortController();
  const spinning = use(unwanted.signal, (thread) => thread.spin());
  const ended = expect(spinning).rejects.toMatchObject({ code: 'THREAD_CLOSED' });
  expect(await use(new AbortController().signal, (thread) => thread.answer())).toBe(42);
  unwanted.abort();
  await ended;
});

it('as many as there may be at once leave their places when they end', async () => {
  const { use } = threads();
  const unwanted = new AbortController();
  const busy = Array.from({ length: 12 }, () => use(unwanted.signal, (thread) => thread.spin()));
  const waiting = use(new AbortController().signal, (thread) => thread.answer());
  unwanted.abort(new Error('no longer wanted'));
  const ends = await Promise.allSettled(busy);
  expect(ends.every(({ status }) => status === 'rejected')).toBe(true);
  expect(await waiting).toBe(42);
});
