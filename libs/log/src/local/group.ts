import { assign } from '../assignment.js';
import { LogError, warn } from '../errors.js';
import { partitionKey } from '../partition.js';
import type { Batch, SubscribeOptions, Subscription, TopicPartition } from '../port.js';
import { within } from '../waiting.js';
import { type Delivery, type DeliveryContext, report, startDelivery } from './delivery.js';

export type MemberOptions = Omit<Required<SubscribeOptions>, 'onBatch'> & Pick<SubscribeOptions, 'onBatch'>;

/** A consumer group within this process: shares out the partitions of its members' topics. */
export interface Group {
  join(options: MemberOptions): Subscription;
  /** Looks again at topics (one may have grown). */
  reconcile(): void;
  /** Everyone leaves; nothing is handed over. */
  close(): Promise<void>;
}

interface Member {
  readonly id: string;
  readonly options: MemberOptions;
  readonly topics: ReadonlySet<string>;
  /** Partitions on their way to another member. */
  readonly releases: Set<Promise<void>>;
  leaving: boolean;
}

interface Holding {
  readonly at: TopicPartition;
  readonly member: Member;
  delivery: Delivery | undefined;
  releasing: boolean;
}

/**
 * Rebalancing is cooperative: a partition keeps its owner until the assignment gives it to another; then the owner's
 * handler is told to stop, and only when it has returned (or `revokeTimeoutMs` passed) does the other begin.
 * Partitions that stay are not disturbed.
 */
export function createGroup(context: DeliveryContext): Group {
  const members = new Set<Member>();
  const holdings = new Map<string, Holding>();
  let joined = 0;
  let closing = false;

  function reconcile(): void {
    if (closing) return;
    const active = [...members].filter(({ leaving }) => !leaving);
    const topics = new Set(active.flatMap((member) => [...member.topics]));
    const partitions = [...topics].flatMap((topic) =>
      Array.from({ length: context.store.topic(topic)!.partitions }, (_, partition) => ({
        topic,
        partition,
      })),
    );
    const owners = new Map([...holdings].map(([key, { member }]) => [key, member.id]));
    const target = assign(partitions, active, owners);
    for (const member of active) {
      if (member.leaving) continue;
      release(
        member,
        [...holdings.values()].filter(
          (h) => h.member === member && target.get(partitionKey(h.at)) !== member.id,
        ),
      );
      grant(
        member,
        partitions.filter((at) => {
          const key = partitionKey(at);
          return target.get(key) === member.id && !holdings.has(key);
        }),
      );
    }
  }

  function grant(member: Member, partitions: readonly TopicPartition[]): void {
    if (partitions.length === 0) return;
    const granted = partitions.map((at): Holding => ({ at, member, delivery: undefined, releasing: false }));
    for (const holding of granted) holdings.set(partitionKey(holding.at), holding);
    try {
      member.options.onAssigned(partitions);
    } catch (error) {
      warn(error);
    }
    const { onBatch } = member.options;
    if (!onBatch) return;
    for (const holding of granted)
      if (!holding.releasing)
        holding.delivery = startDelivery(context, holding.at, { ...member.options, onBatch });
  }

  function release(member: Member, candidates: readonly Holding[]): void {
    const leaving = candidates.filter(({ releasing }) => !releasing);
    if (leaving.length === 0) return;
    for (const holding of leaving) {
      holding.releasing = true;
      holding.delivery?.abort();
    }
    const released = finish(member, leaving).finally(() => {
      member.releases.delete(released);
      reconcile();
    });
    member.releases.add(released);
  }

  async function finish(member: Member, leaving: readonly Holding[]): Promise<void> {
    const { onRevoked, onError, revokeTimeoutMs } = member.options;
    await within(revokeTimeoutMs, Promise.all(leaving.map(({ delivery }) => delivery?.ended)));
    try {
      const revoked = Promise.resolve(onRevoked(leaving.map(({ at }) => at)));
      if (!(await within(revokeTimeoutMs, revoked)))
        warn(new LogError('LOG_REVOKE_TIMEOUT', `onRevoked did not end within ${revokeTimeoutMs} ms.`));
    } catch (error) {
      warn(error);
    }
    for (const { at, delivery } of leaving) {
      const unfinished = delivery?.fence();
      holdings.delete(partitionKey(at));
      if (unfinished) report(onError, lateHandler(unfinished, revokeTimeoutMs), unfinished);
    }
  }

  async function leave(member: Member): Promise<void> {
    member.leaving = true;
    release(
      member,
      [...holdings.values()].filter((holding) => holding.member === member),
    );
    reconcile();
    await Promise.all(member.releases);
    members.delete(member);
  }

  return {
    reconcile,
    join(options) {
      const member: Member = {
        id: String(joined++),
        options,
        topics: new Set(options.topics),
        releases: new Set(),
        leaving: false,
      };
      members.add(member);
      reconcile();
      let left: Promise<void> | undefined;
      return {
        assignment: () =>
          [...holdings.values()]
            .filter((holding) => holding.member === member && !holding.releasing)
            .map(({ at }) => at)
            .sort((a, b) => (a.topic < b.topic ? -1 : a.topic > b.topic ? 1 : a.partition - b.partition)),
        close() {
          left ??= leave(member);
          return left;
        },
      };
    },
    async close() {
      closing = true;
      await Promise.all([...members].map(leave));
    },
  };
}

const lateHandler = ({ topic, partition }: Batch, revokeTimeoutMs: number) =>
  new LogError(
    'LOG_REVOKE_TIMEOUT',
    `The handler of partition ${partition} of ${topic} went on for ${revokeTimeoutMs} ms after its signal aborted; the partition was taken from it, and the batch will be delivered again.`,
  );
