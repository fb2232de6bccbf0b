/** Where partitions begin and end, and what groups have committed. */

import type { Positions, TopicPartition } from '@rlhf-streams/log';
import { offsetFetch } from './offset-fetch.js';
import { byLeader, byTopic } from './partitions.js';
import type { Broker, ByTopic } from './protocol.js';
import { READ_COMMITTED, READ_UNCOMMITTED, type Wire } from './wire.js';

const EARLIEST = -2;
const LATEST = -1;

const BOUNDS = {
  /** The log start offset: that of the first record kept. */
  earliest: { timestamp: EARLIEST, isolationLevel: READ_COMMITTED },
  /** The last stable offset: readers of committed records see everything before it. */
  latest: { timestamp: LATEST, isolationLevel: READ_COMMITTED },
  /** The high watermark: everything before it is written, though an open transaction may still hide it. */
  written: { timestamp: LATEST, isolationLevel: READ_UNCOMMITTED },
} as const;

type Bound = keyof typeof BOUNDS;

export async function boundsOf(wire: Wire, topics: readonly string[], bound: Bound): Promise<Positions> {
  return wire.attempt(`find the ${bound} offsets of ${topics.join(', ')}`, async () => {
    const partitions: TopicPartition[] = [];
    for (const topic of topics)
      for (const { partitionId } of await wire.partitions(topic))
        partitions.push({ topic, partition: partitionId });
    return positionsOf(topics, await listOffsets(wire, partitions, bound));
  });
}

interface Offset extends TopicPartition {
  readonly offset: number;
}

/** Makes one attempt. */
export async function listOffsets(
  wire: Wire,
  partitions: readonly TopicPartition[],
  bound: Bound,
): Promise<Offset[]> {
  const { timestamp, isolationLevel } = BOUNDS[bound];
  const led = await byLeader(wire, partitions);
  const answers = await Promise.all(
    [...led].map(async ([nodeId, ofLeader]) => {
      const broker = await wire.broker(nodeId);
      const { responses } = await broker.listOffsets({
        replicaId: -1,
        isolationLevel,
        topics: byTopic(ofLeader, ({ partition }) => ({ partition, timestamp })),
      });
      return offsetsOf(responses);
    }),
  );
  return answers.flat();
}

/** The group's next offsets to deliver; partitions without a commit are left out. Makes one attempt. */
export async function committedOffsets(
  coordinator: Broker,
  groupId: string,
  partitions: readonly TopicPartition[],
): Promise<Offset[]> {
  return (await offsetFetch(coordinator, groupId, partitions)).filter(({ offset }) => offset >= 0);
}

const offsetsOf = (responses: ByTopic<{ readonly partition: number; readonly offset: string }>): Offset[] =>
  responses.flatMap(({ topic, partitions }) =>
    partitions.map(({ partition, offset }) => ({ topic, partition, offset: Number(offset) })),
  );

function positionsOf(topics: readonly string[], offsets: readonly Offset[]): Positions {
  const positions: Record<string, number[]> = Object.fromEntries(topics.map((topic) => [topic, []]));
  for (const { topic, partition, offset } of offsets) positions[topic]![partition] = offset;
  return positions;
}
