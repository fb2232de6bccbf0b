/** Hands one partition's records to a member's handler, batch by batch, while the partition is its own. */
import { LogError, warn } from '../../errors.js';
import type { Batch, LogRecord, SubscribeOptions, TopicPartition } from '../../port.js';
import { backoff, pause } from '../../waiting.js';
import { createBell } from '../bell.js';
import type { Feed, Reader } from '../feed.js';
import { shareable } from '../signals.js';

export type DeliveryOptions = Required<
  Pick<SubscribeOptions, 'group' | 'from' | 'maxBatchRecords' | 'onBatch' | 'onError' | 'retryDelayMs'>
>;

/** The group's offsets of one partition. */
export interface Offsets {
  /** What the group has committed, if it ever did. */
  committed(): Promise<number | undefined>;
  /** @throws LogError LOG_REVOKED when the partition is no longer this member's. */
  commit(offset: number): Promise<void>;
  /** Where the partition begins or ends. */
  bound(which: 'earliest' | 'latest'): Promise<number>;
}

export interface Delivery {
  /** Aborts the handler's signal; no further batch begins. */
  abort(): void;
  /** Resolves when the handler has returned and the loop has ended. */
  readonly ended: Promise<void>;
  /** The batch being handled now, if any. */
  handling(): Batch | undefined;
}

export function startDelivery(
  feed: Feed,
  offsets: Offsets,
  at: TopicPartition,
  options: DeliveryOptions,
): Delivery {
  const { onBatch, onError, maxBatchRecords, retryDelayMs } = options;
  const controller = new AbortController();
  const signal = shareable(controller.signal);
  const bell = createBell();
  let handling: Batch | undefined;

  async function start(): Promise<number> {
    const committed = await offsets.committed();
    if (committed !== undefined) return committed;
    const bound = await offsets.bound(options.from);
    // Without this, records published between two owners of a partition would be skipped by the second.
    if (options.from === 'latest') await offsets.commit(bound);
    return bound;
  }

  async function run(): Promise<void> {
    const begin = await start();
    if (signal.aborted) return;
    const reader = feed.read(at, begin, bell.ring);
    try {
      await deliver(reader, begin);
    } finally {
      reader.close();
    }
  }

  async function deliver(reader: Reader, begin: number): Promise<void> {
    let committed = begin;
    let failures = 0;
    while (!signal.aborted) {
      reader.check();
      if (reader.buffered === 0) {
        // Markers of transactions are no records, but the group is past them.
        if (reader.position > committed) {
          committed = reader.position;
          await offsets.commit(committed);
        } else await bell.rung();
        continue;
      }
      const records = reader.take(maxBatchRecords);
      const next = reader.buffered > 0 ? records.at(-1)!.offset + 1 : reader.position;
      try {
        handling = { ...at, records };
        await handle(handling);
        if (signal.aborted) return;
        await offsets.commit(next);
        committed = next;
        failures = 0;
      } catch (error) {
        const isAbort = signal.aborted && error instanceof Error && error.name === 'AbortError';
        if (!isAbort) report(onError, error, { ...at, records });
        if (signal.aborted) return;
        // By `commit`, or by a transaction of the handler.
        const resume = Math.max(records[0]!.offset, (await offsets.committed()) ?? 0);
        failures = resume > records[0]!.offset ? 1 : failures + 1;
        committed = resume;
        await pause(backoff(retryDelayMs, failures), signal);
        reader.seek(resume);
      } finally {
        handling = undefined;
      }
    }
  }

  async function handle(batch: Batch): Promise<void> {
    const [first, last] = [batch.records[0]!, batch.records.at(-1)!];
    const commit = async ({ topic, partition, offset }: LogRecord) => {
      if (topic !== at.topic || partition !== at.partition || offset < first.offset || offset > last.offset)
        throw new LogError(
          'LOG_INVALID',
          `commit() takes a record of the batch (${at.topic}/${at.partition}, offsets ${first.offset} to ${last.offset}); got ${topic}/${partition}, offset ${offset}.`,
        );
      await offsets.commit(offset + 1);
    };
    await onBatch(batch, { signal, commit });
  }

  /** What could not be read or committed now may be later: go on, but say so. */
  async function runOn(): Promise<void> {
    for (let failures = 1; !signal.aborted; failures++) {
      try {
        await run();
      } catch (error) {
        if (signal.aborted) return;
        warn(error);
        await pause(backoff(retryDelayMs, failures), signal);
      }
    }
  }

  return {
    abort() {
      controller.abort(new DOMException('The partition is being revoked.', 'AbortError'));
      bell.ring();
    },
    ended: runOn(),
    handling: () => handling,
  };
}

/** Tells `onError`; what that throws in turn must not end the delivery. */
export function report(onError: DeliveryOptions['onError'], error: unknown, batch: Batch): void {
  try {
    onError(error, batch);
  } catch (thrown) {
    warn(thrown);
  }
}
