/** Where topics begin and end, and what groups have committed. */
import { LogError } from '../errors.js';
import type { Positions, TopicPartition } from '../port.js';
import type { Broker, ByTopic } from './protocol.js';
import { READ_COMMITTED, READ_UNCOMMITTED, type Wire } from './wire.js';

const EARLIEST = -2;
const LATEST = -1;

/** Of the first record kept; of the next one that readers can see, as up to there transactions have ended; of the next one. */
const BOUNDS = {
  earliest: { timestamp: EARLIEST, isolationLevel: READ_COMMITTED },
  latest: { timestamp: LATEST, isolationLevel: READ_COMMITTED },
  written: { timestamp: LATEST, isolationLevel: READ_UNCOMMITTED },
} as const;

type Bound = keyof typeof BOUNDS;

/** Partitions by topic, as requests name them. */
export function byTopic<P extends TopicPartition, Q>(
  partitions: readonly P[],
  select: (partition: P) => Q,
): ByTopic<Q> {
  const topics = new Map<string, Q[]>();
  for (const at of partitions) topics.set(at.topic, [...(topics.get(at.topic) ?? []), select(at)]);
  return [...topics].map(([topic, found]) => ({ topic, partitions: found }));
}

/** Partitions by their leader. @throws LogError LOG_UNKNOWN_TOPIC for one that does not exist. */
export async function byLeader<P extends TopicPartition>(
  wire: Wire,
  partitions: readonly P[],
): Promise<Map<number, P[]>> {
  const found = new Map<number, P[]>();
  for (const at of partitions) {
    const metadata = (await wire.partitions(at.topic)).find(
      ({ partitionId }) => partitionId === at.partition,
    );
    if (!metadata)
      throw new LogError('LOG_UNKNOWN_TOPIC', `Topic ${at.topic} has no partition ${at.partition}.`);
    found.set(metadata.leader, [...(found.get(metadata.leader) ?? []), at]);
  }
  return found;
}

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

/** One attempt. */
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

/** What a group has committed of the partitions; those it never committed are left out. */
export async function committedOffsets(
  coordinator: Broker,
  groupId: string,
  partitions: readonly TopicPartition[],
): Promise<Offset[]> {
  const topics = byTopic(partitions, ({ partition }) => ({ partition }));
  const { responses } = await coordinator.offsetFetch({ groupId, topics });
  return offsetsOf(responses).filter(({ offset }) => offset >= 0);
}

const offsetsOf = (responses: ByTopic<{ readonly partition: number; readonly offset: string }>): Offset[] =>
  responses.flatMap(({ topic, partitions }) =>
    partitions.map(({ partition, offset }) => ({ topic, partition, offset: Number(offset) })),
  );

export function positionsOf(topics: readonly string[], offsets: readonly Offset[]): Positions {
  const positions: Record<string, number[]> = Object.fromEntries(topics.map((topic) => [topic, []]));
  for (const { topic, partition, offset } of offsets) positions[topic]![partition] = offset;
  return positions;
}
