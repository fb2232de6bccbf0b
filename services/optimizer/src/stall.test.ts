import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { type StallWatch, watchForStall } from './stall.js';

const SECOND = 1000;
const MINUTE = 60 * SECOND;

let watch: StallWatch | undefined;
beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  watch?.stop();
  vi.useRealTimers();
});

function watched(deadlineMs: number) {
  const reports: number[] = [];
  const giveUp = vi.fn();
  watch = watchForStall({ deadlineMs, report: ({ sinceMs }) => reports.push(sinceMs), giveUp });
  return { watch, reports, giveUp };
}

it('reports a wait each time it has doubled, then gives up once at the deadline', () => {
  const { reports, giveUp } = watched(10 * MINUTE);
  vi.advanceTimersByTime(10 * MINUTE - 1);
  expect(reports).toEqual([15, 30, 60, 120, 240, 480].map((seconds) => seconds * SECOND));
  expect(giveUp).not.toHaveBeenCalled();
  vi.advanceTimersByTime(MINUTE);
  expect(giveUp).toHaveBeenCalledTimes(1);
  expect(reports).toHaveLength(6);
});

it('reports before it gives up however short the deadline is', () => {
  const { reports, giveUp } = watched(4 * SECOND);
  vi.advanceTimersByTime(4 * SECOND);
  expect(reports).toEqual([2 * SECOND]);
  expect(giveUp).toHaveBeenCalledTimes(1);
});

it('begins anew with every progress', () => {
  const { watch, reports, giveUp } = watched(20 * SECOND);
  for (let i = 0; i < 10; i++) {
    vi.advanceTimersByTime(8 * SECOND);
    watch.progress();
  }
  expect(reports).toEqual([]);
  vi.advanceTimersByTime(19 * SECOND);
  expect(reports).toEqual([10 * SECOND]);
  expect(giveUp).not.toHaveBeenCalled();
  vi.advanceTimersByTime(SECOND);
  expect(giveUp).toHaveBeenCalledTimes(1);
});

it('does not count the time of a pause', () => {
  const { watch, reports, giveUp } = watched(20 * SECOND);
  vi.advanceTimersByTime(5 * SECOND);
  watch.pause();
  vi.advanceTimersByTime(60 * MINUTE);
  watch.progress();
  vi.advanceTimersByTime(9 * SECOND);
  expect(reports).toEqual([]);
  vi.advanceTimersByTime(SECOND);
  expect(reports).toEqual([10 * SECOND]);
  expect(giveUp).not.toHaveBeenCalled();
});

it('says nothing after its stop', () => {
  const { watch, reports, giveUp } = watched(MINUTE);
  watch.stop();
  vi.advanceTimersByTime(60 * MINUTE);
  expect(reports).toEqual([]);
  expect(giveUp).not.toHaveBeenCalled();
  expect(vi.getTimerCount()).toBe(0);
});

it('does not count the time it is held', () => {
  const { watch, reports, giveUp } = watched(10 * MINUTE);
  vi.advanceTimersByTime(9 * MINUTE);
  watch.hold();
  vi.advanceTimersByTime(100 * MINUTE);
  expect(giveUp).not.toHaveBeenCalled();
  const before = reports.length;
  watch.release();
  vi.advanceTimersByTime(MINUTE - 1);
  expect(giveUp).not.toHaveBeenCalled();
  expect(reports).toHaveLength(before);
  vi.advanceTimersByTime(1);
  expect(giveUp).toHaveBeenCalledTimes(1);
});

it('that is held begins anew with progress once it is released', () => {
  const { watch, giveUp } = watched(MINUTE);
  vi.advanceTimersByTime(50 * SECOND);
  watch.hold();
  watch.progress();
  vi.advanceTimersByTime(10 * MINUTE);
  watch.release();
  vi.advanceTimersByTime(50 * SECOND);
  expect(giveUp).not.toHaveBeenCalled();
  vi.advanceTimersByTime(10 * SECOND);
  expect(giveUp).toHaveBeenCalledTimes(1);
});
