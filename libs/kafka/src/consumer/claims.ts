/**
 * What members of a consumer group claim when they join, and how its leader divides the partitions. Rebalancing is
 * cooperative (KIP-429): a member that joins again keeps and claims the partitions it works on. A partition that should
 * move is first released by its owner, and assigned to its new owner in the next generation.
 */

import type { TopicPartition } from '@rlhf-streams/log';
import { assign, partitionKey } from '@rlhf-streams/log/core';
import { decodeMemberMetadata, encodeMemberMetadata } from '../wire/group-protocol.js';
import type { Partitions } from '../wire/protocol.js';

export const PROTOCOL_NAME = 'rlhf-streams-cooperative';

/** What a member wants and holds. */
export interface Claim {
  readonly topics: readonly string[];
  readonly held: Partitions;
  /** The group's generation in which they were assigned. When two members claim a partition, the later generation counts. */
  readonly generation: number;
}

export interface Claimant {
  readonly memberId: string;
  readonly claim: Claim;
}

export const encodeClaim = ({ topics, held, generation }: Claim): Buffer =>
  encodeMemberMetadata(topics, Buffer.from(JSON.stringify({ held, generation })));

export function decodeClaim(metadata: Buffer): Claim {
  const { topics, userData } = decodeMemberMetadata(metadata);
  const { held, generation } = JSON.parse(userData.toString()) as Omit<Claim, 'topics'>;
  return { topics, held, generation };
}

/**
 * The leader's work: the assignment of each member, by member id. A partition that should move from one member to
 * another is assigned to neither until the first has released it.
 */
export function divide(
  claimants: readonly Claimant[],
  counts: ReadonlyMap<string, number>,
): Map<string, Partitions> {
  const members = claimants
    .map(({ memberId, claim }) => ({ id: memberId, topics: new Set(claim.topics) }))
    .sort((a, b) => (a.id < b.id ? -1 : 1));
  const partitions = [...counts].flatMap(([topic, count]) =>
    Array.from({ length: count }, (_, partition) => ({ topic, partition })),
  );
  const holders = holdersOf(claimants);
  const owners = assign(partitions, members, holders);
  const assigned = new Map<string, Record<string, number[]>>(members.map(({ id }) => [id, {}]));
  for (const at of partitions) {
    const key = partitionKey(at);
    const owner = owners.get(key);
    const holder = holders.get(key);
    if (owner === undefined || (holder !== undefined && holder !== owner)) continue;
    const share = assigned.get(owner)!;
    share[at.topic] = [...(share[at.topic] ?? []), at.partition];
  }
  return assigned;
}

/** Member ids by the key of the partition they hold; when two claim it, the one it was assigned to later. */
function holdersOf(claimants: readonly Claimant[]): Map<string, string> {
  const holders = new Map<string, string>();
  const oldestFirst = [...claimants].sort((a, b) => a.claim.generation - b.claim.generation);
  for (const { memberId, claim } of oldestFirst)
    for (const at of listed(claim.held)) holders.set(partitionKey(at), memberId);
  return holders;
}

export const listed = (partitions: Partitions): TopicPartition[] =>
  Object.entries(partitions).flatMap(([topic, numbers]) =>
    numbers.map((partition) => ({ topic, partition })),
  );

export function grouped(partitions: Iterable<TopicPartition>): Partitions {
  const topics: Record<string, number[]> = {};
  for (const { topic, partition } of partitions) topics[topic] = [...(topics[topic] ?? []), partition];
  return topics;
}
