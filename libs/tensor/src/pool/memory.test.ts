import { expect, it } from 'vitest';
import { float32, int32 } from '../engine.js';
import { PAGE_BYTES } from '../loops/webassembly.js';
import { sharedMemory, spanIn } from './memory.js';

const state = { a: float32(5), n: int32(3, 2), none: float32(0), b: float32() };

it('tensors lie apart in one memory, each at a line of the cache', () => {
  const { spans } = sharedMemory(state, 4 * PAGE_BYTES);
  expect(Object.keys(spans)).toEqual(Object.keys(state));
  for (const [k, { view, address }] of Object.values(spans).entries()) {
    expect(address).toBe(view.byteOffset);
    expect(address! % 64).toBe(0);
    view.fill(k + 1);
  }
  expect(Object.values(spans).map(({ view }) => [...view])).toEqual([
    [1, 1, 1, 1, 1],
    Array(6).fill(2),
    [],
    [4],
  ]);
});

it('what is allocated later lies in the same memory, until that is full', () => {
  const { spans, allocate } = sharedMemory(state, 2 * PAGE_BYTES);
  const first = spanIn(allocate(PAGE_BYTES), float32(PAGE_BYTES / 4), 0);
  const second = spanIn(allocate(PAGE_BYTES), float32(PAGE_BYTES / 4), 0);
  expect(first.address).toBe(first.view.byteOffset);
  expect(second.address).toBeUndefined();
  first.view.fill(1);
  second.view.fill(2);
  expect([...spans.a!.view]).toEqual([0, 0, 0, 0, 0]);
  expect(first.view.every((x) => x === 1)).toBe(true);
});

it('a state larger than a memory has no addresses', () => {
  const { spans, memory } = sharedMemory({ a: float32(PAGE_BYTES), b: float32(1) }, 2 * PAGE_BYTES);
  expect(memory).toBeUndefined();
  expect(spans.b).toEqual({ view: new Float32Array(1) });
});
