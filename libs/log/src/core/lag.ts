import type { Positions } from '../port.js';
import { partitionKey } from './partition-key.js';

/**
 * Records of each partition that the group has not committed. A group that committed nothing, or an offset that
 * retention has passed, lags behind from the earliest record kept.
 *
 * @param committed next offset to deliver, by partition key; partitions without a commit are left out.
 */
export function lagOf(
  { earliest, latest }: { readonly earliest: Positions; readonly latest: Positions },
  committed: ReadonlyMap<string, number>,
): Positions {
  const lag = (topic: string, partition: number, end: number) => {
    const next = Math.max(
      earliest[topic]![partition]!,
      committed.get(partitionKey({ topic, partition })) ?? 0,
    );
    return end - Math.min(end, next);
  };
  return Object.fromEntries(
    Object.entries(latest).map(([topic, ends]) => [
      topic,
      ends.map((end, partition) => lag(topic, partition, end)),
    ]),
  );
}
