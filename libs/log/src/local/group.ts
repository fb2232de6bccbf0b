import { assign, createHoldings, type MemberOptions, partitionKey } from '../core/index.js';
import type { Subscription, TopicPartition } from '../port.js';
import { type LocalContext, partitionSource } from './source.js';

/** A consumer group within this process: shares out the partitions of its members' topics. */
export interface Group {
  join(options: MemberOptions): Subscription;
  /** Looks again at topics, of which one may have grown. */
  reconcile(): void;
}

interface Member {
  readonly id: string;
  readonly topics: ReadonlySet<string>;
  readonly holdings: ReturnType<typeof createHoldings>;
  leaving: boolean;
}

/**
 * A partition keeps its owner until the assignment gives it to another; then the signal of the owner's handler aborts,
 * and only when the handler has returned (or `revokeTimeoutMs` passed) does the other begin. Partitions that stay are not disturbed.
 */
export function createGroup(context: LocalContext): Group {
  const members = new Set<Member>();
  let joined = 0;

  const isHeld = (at: TopicPartition) => [...members].some(({ holdings }) => holdings.has(at));

  function reconcile(): void {
    const active = [...members].filter(({ leaving }) => !leaving);
    const topics = new Set(active.flatMap((member) => [...member.topics]));
    const partitions = [...topics].flatMap((topic) =>
      Array.from({ length: context.store.topic(topic)!.partitions }, (_, partition) => ({
        topic,
        partition,
      })),
    );
    const owners = new Map(
      [...members].flatMap(({ id, holdings }) => holdings.held().map((at) => [partitionKey(at), id])),
    );
    const target = assign(partitions, active, owners);
    for (const member of active) {
      const { id, holdings } = member;
      // A member may have left meanwhile: `onAssigned` of an earlier one may have closed its subscription.
      if (member.leaving) continue;
      const isFor = (at: TopicPartition) => target.get(partitionKey(at)) === id;
      holdings.release(
        holdings.held().filter((at) => !isFor(at)),
        reconcile,
      );
      holdings.grant(partitions.filter((at) => isFor(at) && !isHeld(at)));
    }
  }

  async function leave(member: Member): Promise<void> {
    member.leaving = true;
    member.holdings.release(member.holdings.held(), reconcile);
    reconcile();
    await member.holdings.settled();
    members.delete(member);
  }

  return {
    reconcile,
    join(options) {
      const member: Member = {
        id: String(joined++),
        topics: new Set(options.topics),
        holdings: createHoldings(options, (at, holds) => partitionSource(context, options.group, at, holds)),
        leaving: false,
      };
      members.add(member);
      reconcile();
      let left: Promise<void> | undefined;
      return {
        assignment: () => member.holdings.assignment(),
        close() {
          left ??= leave(member);
          return left;
        },
      };
    },
  };
}
