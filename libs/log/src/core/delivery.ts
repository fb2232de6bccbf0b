/** Hands one partition's records to a member's handler, batch by batch, while the partition is the member's. */
import { backoff, shareable } from '@rlhf-streams/waiting';
import { LogError, warn } from '../errors.js';
import type { Batch, LogRecord, SubscribeOptions, TopicPartition } from '../port.js';

/** One partition as a member of a group sees it. */
export interface PartitionSource {
  /** Where the partition begins, and where it ends for a member that joins now. */
  bound(which: 'earliest' | 'latest'): Promise<number>;
  /** The group's next offset to deliver, if it ever committed one. */
  committed(): Promise<number | undefined>;
  /** @throws LogError LOG_REVOKED when the partition is no longer this member's. */
  commit(offset: number): Promise<void>;
  /** @param signal ends the reader's waiting. */
  read(position: number, signal: AbortSignal): PartitionReader;
  /**
   * The offset up to which a batch counts as handled, when the handler returned after the records from offset `first` to
   * before `end`. Default `end`; a log for tests answers less, as if the process had died before its commit.
   */
  handledTo?(first: number, end: number): number;
}

interface PartitionReader {
  /** Waits for records and takes `max` of them at most. Undefined when the signal aborted first. */
  next(max: number): Promise<Portion | undefined>;
  /** Goes on from `position`. */
  seek(position: number): void;
  close(): void;
}

interface Portion {
  /** In offset order; empty where the reader passed only control records and compacted offsets. */
  readonly records: readonly LogRecord[];
  /** The offset to go on from. */
  readonly next: number;
}

export interface Delivery {
  /** Aborts the handler's signal; no further batch begins. */
  abort(): void;
  /** Resolves when the handler has returned and the loop has ended. */
  readonly ended: Promise<void>;
  /** The batch being handled now, if any. */
  handling(): Batch | undefined;
}

export type DeliveryOptions = Required<
  Pick<SubscribeOptions, 'from' | 'maxBatchRecords' | 'onBatch' | 'onError' | 'retryDelayMs'>
>;

const MAX_DELAY_MS = 5_000;

/** Starts delivering `at` from the group's committed offset, or from where `options.from` says. */
export function startDelivery(
  source: PartitionSource,
  at: TopicPartition,
  { from, onBatch, onError, maxBatchRecords, retryDelayMs }: DeliveryOptions,
): Delivery {
  const controller = new AbortController();
  const signal = shareable(controller.signal);
  let handling: Batch | undefined;

  const newDelays = () => backoff({ minDelayMs: retryDelayMs, maxDelayMs: MAX_DELAY_MS });

  async function start(): Promise<number> {
    const committed = await source.committed();
    if (committed !== undefined) return committed;
    const bound = await source.bound(from);
    // Without this, records published between two owners of a partition would be skipped by the second.
    if (from === 'latest') await source.commit(bound);
    return bound;
  }

  async function deliver(reader: PartitionReader, begin: number): Promise<void> {
    let committed = begin;
    const delays = newDelays();
    while (!signal.aborted) {
      const portion = await reader.next(maxBatchRecords);
      if (!portion || signal.aborted) return;
      const { records, next } = portion;
      const first = records[0]?.offset;
      if (first === undefined) {
        // Handlers get no control records, but the group commits past them: otherwise its lag would never be 0.
        if (next > committed) await source.commit(next);
        committed = Math.max(committed, next);
        continue;
      }
      handling = { ...at, records };
      try {
        await handle(handling, async (offset) => {
          await source.commit(offset);
          committed = offset;
        });
        if (signal.aborted) return;
        const handled = source.handledTo?.(first, next) ?? next;
        if (handled > committed) {
          await source.commit(handled);
          committed = handled;
        }
        if (handled < next) reader.seek(Math.max(handled, (await source.committed()) ?? 0));
        delays.reset();
      } catch (error) {
        const isAbort = signal.aborted && error instanceof Error && error.name === 'AbortError';
        if (!isAbort) report(onError, error, { ...at, records });
        if (signal.aborted) return;
        // The handler may have committed a part, by `commit` or in a transaction.
        committed = Math.max(first, (await source.committed()) ?? 0);
        if (committed > first) delays.reset();
        await delays.pause(signal);
        reader.seek(committed);
      } finally {
        handling = undefined;
      }
    }
  }

  async function handle(batch: Batch, commitTo: (offset: number) => Promise<void>): Promise<void> {
    const [first, last] = [batch.records[0]!, batch.records.at(-1)!];
    const commit = async ({ topic, partition, offset }: LogRecord) => {
      if (topic !== at.topic || partition !== at.partition || offset < first.offset || offset > last.offset)
        throw new LogError(
          'LOG_INVALID',
          `commit() takes a record of the batch (${at.topic}/${at.partition}, offsets ${first.offset} to ${last.offset}); got ${topic}/${partition}, offset ${offset}.`,
        );
      await commitTo(offset + 1);
    };
    await onBatch(batch, { signal, commit });
  }

  /** A log that cannot be read or written now may be later, so the loop goes on, and says so. */
  async function run(): Promise<void> {
    const delays = newDelays();
    while (!signal.aborted) {
      let reader: PartitionReader | undefined;
      try {
        const begin = await start();
        if (signal.aborted) return;
        reader = source.read(begin, signal);
        await deliver(reader, begin);
      } catch (error) {
        if (signal.aborted) return;
        warn(error);
        await delays.pause(signal);
      } finally {
        reader?.close();
      }
    }
  }

  return {
    abort: () => controller.abort(new DOMException('The partition is being revoked.', 'AbortError')),
    ended: run(),
    handling: () => handling,
  };
}

/** Calls `onError`; what that throws in turn must not end the delivery. */
export function report(onError: DeliveryOptions['onError'], error: unknown, batch: Batch): void {
  try {
    onError(error, batch);
  } catch (thrown) {
    warn(thrown);
  }
}
