import { setImmediate as turn } from 'node:timers/promises';
import { partitionKey, type ReadPlan } from '../core/index.js';
import type { Batch, TopicPartition } from '../port.js';
import { type LocalContext, MAX_BATCH_BYTES } from './source.js';

/** Yields batches partition by partition in turns; without `follow` up to the ends as of this call. */
export function readBatches({ store, wakeups, faults }: LocalContext, plan: ReadPlan): AsyncGenerator<Batch> {
  const { topics, follow, from, maxBatchRecords, signal } = plan;
  const positions = new Map<string, number>();
  const ends = new Map(follow ? [] : partitions().map((at) => [partitionKey(at), store.bounds(at).latest]));

  // Asked anew each round, because a topic may grow while it is followed.
  function partitions(): TopicPartition[] {
    return topics.flatMap((topic) =>
      Array.from({ length: store.topic(topic)!.partitions }, (_, partition) => ({ topic, partition })).filter(
        ({ partition }) => plan.partitions?.includes(partition) ?? true,
      ),
    );
  }

  function next(at: TopicPartition): Batch | undefined {
    const key = partitionKey(at);
    const end = follow ? Number.POSITIVE_INFINITY : (ends.get(key) ?? 0);
    const position = positions.get(key) ?? from[at.topic]?.[at.partition] ?? 0;
    if (position >= end) return undefined;
    const records = store
      .read(at, position, maxBatchRecords, MAX_BATCH_BYTES)
      .filter(({ offset }) => offset < end);
    if (records.length === 0) return undefined;
    positions.set(key, records.at(-1)!.offset + 1);
    return { ...at, records };
  }

  async function* batches(): AsyncGenerator<Batch> {
    for (let round = 0; !signal.aborted; round++) {
      let found = false;
      const visits = partitions();
      for (const at of faults?.visitingOrder(visits, round) ?? visits) {
        const batch = next(at);
        if (!batch) continue;
        found = true;
        yield batch;
        if (signal.aborted) return;
      }
      if (found) await turn();
      else if (follow) await wakeups.wait(topics, signal);
      else return;
    }
  }
  return batches();
}
