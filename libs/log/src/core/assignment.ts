import type { TopicPartition } from '../port.js';
import { partitionKey } from './partition-key.js';

export interface MemberTopics {
  readonly id: string;
  readonly topics: ReadonlySet<string>;
}

/**
 * Assigns partitions to the members of a group: balanced, and sticky (a partition moves only where that improves the
 * balance). Among members with the same topics, the numbers of partitions differ by one at most.
 *
 * @param members in the order they joined.
 * @param current owner by partition key; owners no longer members are ignored.
 * @returns owner by partition key, for every partition some member subscribes to.
 */
export function assign(
  partitions: readonly TopicPartition[],
  members: readonly MemberTopics[],
  current: ReadonlyMap<string, string>,
): Map<string, string> {
  const held = new Map(members.map(({ id }) => [id, [] as TopicPartition[]]));
  const load = (member: MemberTopics) => held.get(member.id)!.length;
  const ofTopic = (member: MemberTopics, topic: string) =>
    held.get(member.id)!.filter((p) => p.topic === topic).length;

  const unowned: TopicPartition[] = [];
  for (const partition of partitions) {
    const owner = members.find(({ id }) => id === current.get(partitionKey(partition)));
    if (owner?.topics.has(partition.topic)) held.get(owner.id)!.push(partition);
    else unowned.push(partition);
  }
  for (const partition of unowned) {
    const [least] = members
      .filter(({ topics }) => topics.has(partition.topic))
      .sort((a, b) => load(a) - load(b) || ofTopic(a, partition.topic) - ofTopic(b, partition.topic));
    if (least) held.get(least.id)!.push(partition);
  }

  // Each move lowers the sum of squared loads, so this ends.
  for (let move = nextMove(); move; move = nextMove()) {
    const from = held.get(move.from.id)!;
    from.splice(from.indexOf(move.partition), 1);
    held.get(move.to.id)!.push(move.partition);
  }

  function nextMove() {
    const byLoad = [...members].sort((a, b) => load(b) - load(a));
    for (const from of byLoad) {
      for (const to of byLoad.toReversed()) {
        if (load(from) - load(to) < 2) break;
        const surplus = (p: TopicPartition) => ofTopic(from, p.topic) - ofTopic(to, p.topic);
        const [partition] = held
          .get(from.id)!
          .filter(({ topic }) => to.topics.has(topic))
          .sort((a, b) => surplus(b) - surplus(a) || b.partition - a.partition);
        if (partition) return { from, to, partition };
      }
    }
    return undefined;
  }

  return new Map([...held].flatMap(([id, owned]) => owned.map((p) => [partitionKey(p), id] as const)));
}
