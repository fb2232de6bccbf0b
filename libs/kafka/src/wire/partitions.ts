/** Partitions of topics: which there are, who leads them, and how requests name them. */
import { LogError, type TopicPartition } from '@rlhf-streams/log';
import type { ByTopic } from './protocol.js';
import type { Wire } from './wire.js';

/** Partitions by topic, as requests name them. */
export function byTopic<P extends TopicPartition, Q>(
  partitions: readonly P[],
  select: (partition: P) => Q,
): ByTopic<Q> {
  const topics = new Map<string, Q[]>();
  for (const at of partitions) topics.set(at.topic, [...(topics.get(at.topic) ?? []), select(at)]);
  return [...topics].map(([topic, found]) => ({ topic, partitions: found }));
}

/** Partitions by the node id of their leader. @throws LogError LOG_UNKNOWN_TOPIC for one that does not exist. */
export async function byLeader<P extends TopicPartition>(
  wire: Wire,
  partitions: readonly P[],
): Promise<Map<number, P[]>> {
  const found = new Map<number, P[]>();
  for (const at of partitions) {
    const metadata = (await wire.partitions(at.topic)).find(
      ({ partitionId }) => partitionId === at.partition,
    );
    if (!metadata) throw unknownPartition(at);
    found.set(metadata.leader, [...(found.get(metadata.leader) ?? []), at]);
  }
  return found;
}

/** @throws LogError LOG_UNKNOWN_TOPIC, and what `attempt` throws. */
export async function partitionCount(wire: Wire, topic: string): Promise<number> {
  const partitions = await wire.attempt(`find topic ${topic}`, () => wire.partitions(topic));
  if (partitions.length === 0)
    throw new LogError(
      'LOG_UNKNOWN_TOPIC',
      `Topic ${topic} does not exist: ensureTopics was never asked for it.`,
    );
  return partitions.length;
}

export const unknownPartition = ({ topic, partition }: TopicPartition): LogError =>
  new LogError('LOG_UNKNOWN_TOPIC', `Topic ${topic} has no partition ${partition}.`);
