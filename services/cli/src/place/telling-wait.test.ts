import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { tellingWait } from './telling-wait.js';

let told: string[];
beforeEach(() => {
  told = [];
  vi.useFakeTimers();
  vi.spyOn(console, 'error').mockImplementation((text) => void told.push(text));
});
afterEach(() => {
  vi.restoreAllMocks();
  vi.useRealTimers();
});

it('tells of a wait when it is long, and goes on telling until it is over', async () => {
  let finish = (_: string) => {};
  const waiting = tellingWait(
    'Kafka at b:9092',
    new Promise<string>((resolve) => {
      finish = resolve;
    }),
  );
  await vi.advanceTimersByTimeAsync(2_999);
  expect(told).toEqual([]);
  await vi.advanceTimersByTimeAsync(15_001);
  expect(told).toEqual(['waiting for Kafka at b:9092 (3 s)', 'waiting for Kafka at b:9092 (18 s)']);
  finish('there');
  expect(await waiting).toBe('there');
  await vi.advanceTimersByTimeAsync(60_000);
  expect(told).toHaveLength(2);
});

it('throws what the work throws, and tells no more', async () => {
  await expect(tellingWait('it', Promise.reject(new Error('refused')))).rejects.toThrow('refused');
  expect(vi.getTimerCount()).toBe(0);
});
