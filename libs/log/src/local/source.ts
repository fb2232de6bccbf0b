import { setImmediate as turn } from 'node:timers/promises';
import { type PartitionSource, revoked } from '../core/index.js';
import type { TopicPartition } from '../port.js';
import type { DeliveryFaults } from './faults.js';
import type { RecordStore } from './store.js';
import type { Wakeups } from './wakeups.js';

/** Bound on a batch's memory, beside `maxBatchRecords`. */
export const MAX_BATCH_BYTES = 16 * 2 ** 20;

export interface LocalContext {
  readonly store: RecordStore;
  readonly wakeups: Wakeups;
  readonly faults: DeliveryFaults | undefined;
}

/** A partition of the store as a member of `group` sees it, with the faults that a test asked for. */
export function partitionSource(
  { store, wakeups, faults }: LocalContext,
  group: string,
  at: TopicPartition,
  holds: () => boolean,
): PartitionSource {
  const { earliest, latest } = store.bounds(at);
  /** Deliveries from the same offset before this one. */
  let attempt = 0;
  let attempted = -1;

  return {
    bound: async (which) => (which === 'earliest' ? earliest : latest),
    committed: async () => store.committed(group, at),

    async commit(offset) {
      if (!holds()) throw revoked(group, at);
      if (store.committed(group, at) === offset) return;
      await store.append({ records: [], commits: [{ ...at, group, offset }] });
    },

    read(begin, signal) {
      let position = begin;
      return {
        async next(max) {
          while (!signal.aborted) {
            position = Math.max(position, store.bounds(at).earliest);
            const records = store.read(at, position, max, MAX_BATCH_BYTES);
            if (records.length === 0) {
              await wakeups.wait([at.topic], signal);
              continue;
            }
            attempt = attempted === position ? attempt + 1 : 0;
            attempted = position;
            await (faults?.beforeDelivery({ ...at, group, offset: position, attempt }) ?? turn());
            position = records.at(-1)!.offset + 1;
            return { records, next: position };
          }
          return undefined;
        },
        seek(to) {
          position = to;
        },
        close() {},
      };
    },

    handledTo: (offset, end) => faults?.redeliverFrom({ ...at, group, offset, attempt }, end) ?? end,
  };
}
