import { LogError, warn } from '../errors.js';
import type { Batch, LogRecord, SubscribeOptions, TopicPartition } from '../port.js';
import { backoff, pause, turn } from '../waiting.js';
import type { DeliveryFaults } from './faults.js';
import type { RecordStore } from './store.js';
import type { Wakeups } from './wakeups.js';

/** Bound on a batch's memory, beside `maxBatchRecords`. */
export const MAX_BATCH_BYTES = 16 * 2 ** 20;

export type DeliveryOptions = Required<
  Pick<SubscribeOptions, 'group' | 'from' | 'maxBatchRecords' | 'onBatch' | 'onError' | 'retryDelayMs'>
>;

export interface DeliveryContext {
  readonly store: RecordStore;
  readonly wakeups: Wakeups;
  readonly faults: DeliveryFaults | undefined;
}

/** The loop that hands one partition's batches to a member while the partition is its own. */
export interface Delivery {
  /** Aborts the handler's signal; no further batch begins. */
  abort(): void;
  /** Resolves when the handler has returned and the loop has ended. */
  readonly ended: Promise<void>;
  /** From now on commits are refused: the partition is about to be another member's. Returns the batch still handled, if any. */
  fence(): Batch | undefined;
}

/** Starts delivering `at` from the group's committed offset, or from where `options.from` says. */
export function startDelivery(
  { store, wakeups, faults }: DeliveryContext,
  at: TopicPartition,
  options: DeliveryOptions,
): Delivery {
  const { group, onBatch, onError, maxBatchRecords, retryDelayMs } = options;
  const controller = new AbortController();
  const { signal } = controller;
  const bounds = store.bounds(at);
  const committed = store.committed(group, at);
  let position = committed ?? (options.from === 'latest' ? bounds.latest : bounds.earliest);
  let fenced = false;
  let handling: Batch | undefined;

  async function commit(offset: number): Promise<void> {
    if (fenced)
      throw new LogError(
        'LOG_REVOKED',
        `Group ${group} lost partition ${at.partition} of ${at.topic} to another member: stop, its records are delivered there.`,
      );
    await store.append({ records: [], commits: [{ ...at, group, offset }] });
  }

  /** The group's committed offset where it is past `offset`: by `commit`, or by a transaction of the handler. */
  const resumeAt = (offset: number) => Math.max(offset, store.committed(group, at) ?? 0);

  async function handle(batch: Batch, attempt: number): Promise<void> {
    const [first, last] = [batch.records[0]!, batch.records.at(-1)!];
    const commitRecord = async (record: LogRecord) => {
      const { topic, partition, offset } = record;
      if (topic !== at.topic || partition !== at.partition || offset < first.offset || offset > last.offset)
        throw new LogError(
          'LOG_INVALID',
          `commit() takes a record of the batch (${at.topic}/${at.partition}, offsets ${first.offset} to ${last.offset}); got ${topic}/${partition}, offset ${offset}.`,
        );
      await commit(offset + 1);
    };
    await onBatch(batch, { signal, commit: commitRecord });
    if (signal.aborted) return;
    const again = faults?.redeliverFrom({ ...at, group, offset: first.offset, attempt }, last.offset + 1);
    const next = again ?? last.offset + 1;
    if (next > resumeAt(first.offset)) await commit(next);
    position = resumeAt(next);
  }

  async function run(): Promise<void> {
    // Without this, records published between two owners of a partition would be skipped by the second.
    if (committed === undefined && options.from === 'latest') await commit(position);
    let failures = 0;
    let attempt = 0;
    let attempted = -1;
    while (!signal.aborted) {
      position = Math.max(position, store.bounds(at).earliest);
      const records = store.read(at, position, maxBatchRecords, MAX_BATCH_BYTES);
      if (records.length === 0) {
        await wakeups.wait([at.topic], [signal]);
        continue;
      }
      attempt = attempted === position ? attempt + 1 : 0;
      attempted = position;
      await (faults?.beforeDelivery({ ...at, group, offset: position, attempt }) ?? turn());
      if (signal.aborted) break;
      handling = { ...at, records };
      try {
        await handle(handling, attempt);
        failures = 0;
      } catch (error) {
        const isAbort = signal.aborted && error instanceof Error && error.name === 'AbortError';
        if (!isAbort) report(onError, error, handling);
        if (signal.aborted) return;
        const resume = resumeAt(position);
        failures = resume > position ? 1 : failures + 1;
        position = resume;
        await pause(backoff(retryDelayMs, failures), signal);
      } finally {
        handling = undefined;
      }
    }
  }

  /** A store that cannot be read or written now may be later: go on, but say so. */
  async function runOn(): Promise<void> {
    for (let failures = 1; !signal.aborted; failures++) {
      try {
        await run();
      } catch (error) {
        warn(error);
        await pause(backoff(retryDelayMs, failures), signal);
      }
    }
  }

  return {
    abort: () => controller.abort(new DOMException('The partition is being revoked.', 'AbortError')),
    ended: runOn(),
    fence() {
      fenced = true;
      return handling;
    },
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
