/**
 * A member of a consumer group, from joining to leaving: it sends heartbeats on a timer, whatever its handlers do, and
 * joins each new generation. It knows nothing of records: it reports assignments, and commits offsets for the group.
 */

import type { TopicPartition } from '@rlhf-streams/log';
import { warn } from '@rlhf-streams/log/core';
import { backoff, pause, within } from '@rlhf-streams/waiting';
import type { KafkaSettings } from '../options.js';
import { faultOf, toLogError } from '../wire/errors.js';
import { decodeAssignment, encodeAssignment } from '../wire/group-protocol.js';
import type { Broker, Partitions } from '../wire/protocol.js';
import type { Wire } from '../wire/wire.js';
import { type Claim, decodeClaim, divide, encodeClaim, listed, PROTOCOL_NAME } from './claims.js';

export interface MembershipHandlers {
  /** The partitions that this member has, including those it is releasing. */
  held(): Partitions;
  /** The whole assignment of a generation. Partitions held and not in it must be released, and `rejoin` called then. */
  assigned(partitions: readonly TopicPartition[]): void;
  /** The group went on without this member, so its partitions may be others' by now. Awaited before it joins again. */
  lost(): Promise<void>;
}

export interface Membership {
  /** Has the group form a new generation. */
  rejoin(): void;
  /** @param assertHeld called before each attempt; throws once the partition is no longer this member's. */
  commit(at: TopicPartition, offset: number, assertHeld: () => void): Promise<void>;
  /** Tells the coordinator, so that partitions go to other members without waiting for the session timeout. */
  leave(): Promise<void>;
}

const RETRY = { minDelayMs: 20, maxDelayMs: 1_000 };
const COMMIT_RETRY_MS = 20;
const LEAVE_TIMEOUT_MS = 5_000;
const NO_GENERATION = -1;

/**
 * @param wire for requests that are answered when every member has made them.
 * @param direct for requests that are answered at once.
 */
export function joinGroup(
  { wire, direct }: { readonly wire: Wire; readonly direct: Wire },
  group: string,
  topics: readonly string[],
  settings: KafkaSettings,
  handlers: MembershipHandlers,
): Membership {
  const ending = new AbortController();
  let memberId = '';
  let generation = NO_GENERATION;
  /** The generation in which the partitions held were assigned. */
  let heldSince = NO_GENERATION;
  /** Aborted to end the wait for the next heartbeat. */
  let beat = new AbortController();
  let rejoinWanted = false;
  /** While this member leads: the number of partitions of each topic when it last divided them. */
  let divided: ReadonlyMap<string, number> | undefined;

  const coordinator = (): Promise<Broker> => wire.coordinator('group', group);

  async function run(): Promise<void> {
    const delays = backoff(RETRY);
    while (!ending.signal.aborted) {
      try {
        await join();
        delays.reset();
        await live();
      } catch (error) {
        if (ending.signal.aborted) return;
        const { lostMembership, needsRejoin, canRetry } = faultOf(error);
        if (lostMembership) {
          await forget();
          continue;
        }
        if (needsRejoin) continue;
        if (canRetry) wire.forget(error);
        else warn(toLogError(error, `take part in group ${group}`));
        await delays.pause(ending.signal);
      }
    }
  }

  async function forget(): Promise<void> {
    memberId = '';
    generation = NO_GENERATION;
    heldSince = NO_GENERATION;
    await handlers.lost();
  }

  async function join(): Promise<void> {
    rejoinWanted = false;
    const broker = await coordinator();
    const claim: Claim = { topics, held: handlers.held(), generation: heldSince };
    const joined = await broker.joinGroup({
      groupId: group,
      memberId,
      sessionTimeout: settings.sessionTimeoutMs,
      rebalanceTimeout: settings.rebalanceTimeoutMs,
      groupProtocols: [{ name: PROTOCOL_NAME, metadata: encodeClaim(claim) }],
    });
    memberId = joined.memberId;
    generation = joined.generationId;
    if (ending.signal.aborted) return;
    const leads = joined.leaderId === memberId;
    const shares = leads ? await divideAmong(joined.members) : new Map<string, Partitions>();
    if (!leads) divided = undefined;
    const { memberAssignment } = await broker.syncGroup({
      groupId: group,
      generationId: generation,
      memberId,
      groupAssignment: [...shares].map(([id, partitions]) => ({
        memberId: id,
        memberAssignment: encodeAssignment(partitions),
      })),
    });
    if (ending.signal.aborted) return;
    heldSince = generation;
    handlers.assigned(listed(decodeAssignment(memberAssignment)));
  }

  async function divideAmong(
    members: readonly { readonly memberId: string; readonly memberMetadata: Buffer }[],
  ): Promise<Map<string, Partitions>> {
    const claimants = members.map((member) => ({
      memberId: member.memberId,
      claim: decodeClaim(member.memberMetadata),
    }));
    divided = await countsOf(new Set(claimants.flatMap(({ claim }) => claim.topics)));
    return divide(claimants, divided);
  }

  async function countsOf(names: Iterable<string>): Promise<Map<string, number>> {
    const counts = new Map<string, number>();
    for (const topic of names) counts.set(topic, (await direct.partitions(topic)).length);
    return counts;
  }

  /** Sends heartbeats until there is to be a new generation. */
  async function live(): Promise<void> {
    for (let silentSince = performance.now(); ; ) {
      beat = new AbortController();
      if (!rejoinWanted && !ending.signal.aborted) await pause(settings.heartbeatMs, beat.signal);
      if (ending.signal.aborted || rejoinWanted) return;
      try {
        if (await hasGrown()) return;
        await (await coordinator()).heartbeat({ groupId: group, groupGenerationId: generation, memberId });
        silentSince = performance.now();
      } catch (error) {
        // A coordinator that restarts or moves still knows its members, so there is no need for a new generation.
        if (!faultOf(error).canRetry || performance.now() - silentSince > settings.sessionTimeoutMs)
          throw error;
        wire.forget(error);
      }
    }
  }

  async function hasGrown(): Promise<boolean> {
    if (!divided) return false;
    const now = await countsOf(divided.keys());
    return [...now].some(([topic, count]) => count > divided!.get(topic)!);
  }

  const membership: Membership = {
    rejoin() {
      rejoinWanted = true;
      beat.abort();
    },
    async commit(at, offset, assertHeld) {
      const what = `commit ${at.topic}/${at.partition} for group ${group}`;
      const end = performance.now() + settings.deadlineMs;
      for (;;) {
        try {
          return await direct.attempt(what, async () => {
            const broker = await direct.coordinator('group', group);
            // Between two attempts the partition may have gone to a member that has committed a later offset.
            assertHeld();
            await broker.offsetCommit({
              groupId: group,
              groupGenerationId: generation,
              memberId,
              topics: [
                { topic: at.topic, partitions: [{ partition: at.partition, offset: String(offset) }] },
              ],
            });
          });
        } catch (error) {
          // The group is between two generations: whether the partition stays here is known in the next one.
          const { needsRejoin, lostMembership } = faultOf(error);
          if (!(needsRejoin || lostMembership) || performance.now() > end) throw error;
          // The heartbeat is brought forward, because its answer tells whether this member is still in the group.
          beat.abort();
          await pause(COMMIT_RETRY_MS);
        }
      }
    },
    async leave() {
      ending.abort();
      beat.abort();
      // A member that is joining for the first time has no id to leave with until it is answered.
      if (memberId === '') await within(LEAVE_TIMEOUT_MS, running);
      if (memberId !== '') {
        const leaving = memberId;
        await direct
          .attempt(
            `leave group ${group}`,
            async () => {
              const broker = await direct.coordinator('group', group);
              return broker.leaveGroup({ groupId: group, memberId: leaving });
            },
            { deadlineMs: LEAVE_TIMEOUT_MS },
          )
          // If this fails, the coordinator removes the member after its session timeout.
          .catch(() => {});
      }
    },
  };
  const running = run().catch(warn);
  return membership;
}
