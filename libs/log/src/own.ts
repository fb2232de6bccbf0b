import { backoff } from '@rlhf-streams/waiting';
import { warn } from './errors.js';
import type { EventLog, Subscription, TopicPartition } from './port.js';

export interface OwnOptions {
  /** Members of one group share the partitions of `topic`. */
  readonly group: string;
  readonly topic: string;
}

export interface OwnHandlers {
  /** Called with the error of a task that failed; the task is started again after a wait. */
  readonly onError: (error: unknown, partition: number) => void;
  /** Milliseconds before the first restart; doubled at each further failure, up to 5 s. Default 200. */
  readonly retryDelayMs?: number;
  /** Milliseconds that a task may take to end after its signal aborted. Default 30 000. */
  readonly revokeTimeoutMs?: number;
}

/** A task that ran for longer had recovered from its last failure: the next one counts as the first. */
const RECOVERED_MS = 60_000;
const MAX_DELAY_MS = 5_000;

/**
 * Runs one task for each partition of a topic that this member of the group owns. When the partition goes to another
 * member, or the subscription closes, the task's signal aborts, and the task is awaited before the other member's begins.
 * A task that throws is started again; one that returns is done until the partition is assigned anew.
 *
 * @example const ownership = await own(log, { group: 'coordinator', topic: 'runs' }, conduct, { onError: console.error });
 */
export function own(
  log: EventLog,
  { group, topic }: OwnOptions,
  task: (partition: number, signal: AbortSignal) => Promise<void>,
  { onError, retryDelayMs = 200, revokeTimeoutMs = 30_000 }: OwnHandlers,
): Promise<Subscription> {
  const running = new Map<number, { controller: AbortController; ended: Promise<void> }>();

  async function run(partition: number, signal: AbortSignal): Promise<void> {
    const delays = backoff({ minDelayMs: retryDelayMs, maxDelayMs: MAX_DELAY_MS });
    while (!signal.aborted) {
      const began = performance.now();
      try {
        await task(partition, signal);
        return;
      } catch (error) {
        if (signal.aborted && error instanceof Error && error.name === 'AbortError') return;
        onError(error, partition);
        if (performance.now() - began > RECOVERED_MS) delays.reset();
        await delays.pause(signal);
      }
    }
  }

  return log.subscribe({
    group,
    topics: [topic],
    revokeTimeoutMs,
    onAssigned(partitions: readonly TopicPartition[]) {
      for (const { partition } of partitions) {
        const controller = new AbortController();
        running.set(partition, { controller, ended: run(partition, controller.signal).catch(warn) });
      }
    },
    async onRevoked(partitions: readonly TopicPartition[]) {
      const ending = partitions.flatMap(({ partition }) => running.get(partition) ?? []);
      for (const { partition } of partitions) running.delete(partition);
      for (const { controller } of ending) controller.abort();
      await Promise.all(ending.map(({ ended }) => ended));
    },
  });
}
