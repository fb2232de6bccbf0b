import { expect, it } from 'vitest';
import { batched } from './batched.js';

it('computes together what is asked for together, and by itself what may fail', async () => {
  const calls: number[] = [];
  const square = batched(
    async (numbers: readonly number[]) => {
      calls.push(numbers.length);
      if (numbers.some((x) => x < 0)) throw new Error('negative');
      return numbers.map((x) => x * x);
    },
    (x) => x < 0,
  );
  const asked = [...Array.from({ length: 100 }, (_, i) => i), -1];
  const answers = await Promise.allSettled(asked.map(square));
  expect(calls.toSorted((a, b) => a - b)).toEqual([1, 36, 64]);
  expect(answers.slice(0, 100)).toEqual(
    asked.slice(0, 100).map((x) => ({ status: 'fulfilled', value: x * x })),
  );
  expect(answers[100]).toMatchObject({ status: 'rejected', reason: { message: 'negative' } });
});
