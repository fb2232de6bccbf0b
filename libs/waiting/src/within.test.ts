import { expect, it } from 'vitest';
import { within } from './within.js';

it('within says whether the work ended in time, and throws what it threw by then', async () => {
  expect(await within(60_000, Promise.resolve())).toBe(true);
  expect(await within(1, new Promise(() => {}))).toBe(false);
  await expect(within(60_000, Promise.reject(new Error('no')))).rejects.toThrow('no');
});
