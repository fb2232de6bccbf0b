import { describe, expect, it } from 'vitest';
import { gate, until } from './conformance/harness.js';
import { memoryLog } from './memory/index.js';
import { own } from './own.js';

const DEADLINE_MS = 10_000;
const ownership = { group: 'owners', topic: 'runs' };

async function logOf(partitions: number) {
  const log = memoryLog();
  await log.ensureTopics([{ name: 'runs', partitions, cleanup: 'delete' }]);
  return log;
}

const untilAborted = (signal: AbortSignal) =>
  new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));

describe('own', () => {
  it('runs each partition once at any time, over members that come and go', async () => {
    const log = await logOf(4);
    const owners = new Map<number, string>();
    const conflicts: string[] = [];
    const join = (name: string) =>
      own(
        log,
        ownership,
        async (partition, signal) => {
          if (owners.has(partition))
            conflicts.push(`${name} and ${owners.get(partition)} both run ${partition}`);
          owners.set(partition, name);
          await untilAborted(signal);
          await new Promise((resolve) => setImmediate(resolve));
          owners.delete(partition);
        },
        { onError: (error) => conflicts.push(String(error)) },
      );
    const shares = () => [...owners.values()].toSorted().join('');
    const a = await join('a');
    await until('a runs all', () => shares() === 'aaaa', DEADLINE_MS);
    const b = await join('b');
    await until('they share', () => shares() === 'aabb', DEADLINE_MS);
    await a.close();
    await until('b runs all', () => shares() === 'bbbb', DEADLINE_MS);
    await b.close();
    expect(owners.size).toBe(0);
    expect(conflicts).toEqual([]);
    await log.close();
  });

  it('restarts a task that fails, and tells of it', async () => {
    const log = await logOf(1);
    const errors: unknown[] = [];
    let starts = 0;
    const running = gate();
    await own(
      log,
      ownership,
      async (_, signal) => {
        starts++;
        if (starts <= 3) throw new Error(`failure ${starts}`);
        running.open();
        await untilAborted(signal);
      },
      { onError: (error, partition) => errors.push([String(error), partition]), retryDelayMs: 1 },
    );
    await running.opened;
    expect(errors).toEqual([1, 2, 3].map((n) => [`Error: failure ${n}`, 0]));
    await log.close();
    expect(starts).toBe(4);
  });

  it('does not restart a task that is done, nor report one that was told to stop', async () => {
    const log = await logOf(2);
    const errors: unknown[] = [];
    const starts: number[] = [];
    const subscription = await own(
      log,
      ownership,
      async (partition, signal) => {
        starts.push(partition);
        if (partition === 0) return;
        await untilAborted(signal);
        signal.throwIfAborted();
      },
      { onError: (error) => errors.push(error), retryDelayMs: 1 },
    );
    await until('both began', () => starts.length === 2, DEADLINE_MS);
    await subscription.close();
    expect(starts.toSorted()).toEqual([0, 1]);
    expect(errors).toEqual([]);
    await log.close();
  });
});
