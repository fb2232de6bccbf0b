import { partitionKey } from '../partition.js';
import type { Batch, Positions, ReadOptions, TopicPartition } from '../port.js';
import { turn } from '../waiting.js';
import { type DeliveryContext, MAX_BATCH_BYTES } from './delivery.js';

export interface ReadPlan extends Pick<ReadOptions, 'topics' | 'partitions' | 'follow'> {
  readonly from: Positions;
  readonly maxBatchRecords: number;
  readonly signals: readonly AbortSignal[];
}

/** Yields batches partition by partition in turns; without `follow` up to the ends as of this call. */
export function readBatches(
  { store, wakeups, faults }: DeliveryContext,
  plan: ReadPlan,
): AsyncGenerator<Batch> {
  const positions = new Map<string, number>();
  const ends = new Map(
    plan.follow ? [] : partitions().map((at) => [partitionKey(at), store.bounds(at).latest]),
  );

  // Asked anew each round, because a topic may grow while it is followed.
  function partitions(): TopicPartition[] {
    return plan.topics.flatMap((topic) =>
      Array.from({ length: store.topic(topic)!.partitions }, (_, partition) => ({ topic, partition })).filter(
        ({ partition }) => plan.partitions?.includes(partition) ?? true,
      ),
    );
  }

  function next(at: TopicPartition): Batch | undefined {
    const key = partitionKey(at);
    const end = plan.follow ? Number.POSITIVE_INFINITY : (ends.get(key) ?? 0);
    const position = positions.get(key) ?? plan.from[at.topic]?.[at.partition] ?? 0;
    if (position >= end) return undefined;
    const records = store
      .read(at, position, plan.maxBatchRecords, MAX_BATCH_BYTES)
      .filter(({ offset }) => offset < end);
    if (records.length === 0) return undefined;
    positions.set(key, records.at(-1)!.offset + 1);
    return { ...at, records };
  }

  const ended = () => plan.signals.some(({ aborted }) => aborted);

  async function* batches(): AsyncGenerator<Batch> {
    for (let round = 0; !ended(); round++) {
      let found = false;
      const visits = partitions();
      for (const at of faults?.visitingOrder(visits, round) ?? visits) {
        const batch = next(at);
        if (!batch) continue;
        found = true;
        yield batch;
        if (ended()) return;
      }
      if (found) await turn();
      else if (plan.follow) await wakeups.wait(plan.topics, plan.signals);
      else return;
    }
  }
  return batches();
}
