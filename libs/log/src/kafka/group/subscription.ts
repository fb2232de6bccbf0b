/** A subscription: a member of a group, and a delivery for each partition it was assigned. */
import { LogError, warn } from '../../errors.js';
import { partitionKey } from '../../partition.js';
import type { Batch, SubscribeOptions, Subscription, TopicPartition } from '../../port.js';
import { within } from '../../waiting.js';
import type { Feed } from '../feed.js';
import { committedOffsets, listOffsets } from '../offsets.js';
import type { KafkaSettings } from '../options.js';
import type { Wire } from '../wire.js';
import { grouped } from './claims.js';
import { type Delivery, type Offsets, report, startDelivery } from './delivery.js';
import { joinGroup } from './membership.js';

export type MemberOptions = Omit<Required<SubscribeOptions>, 'onBatch'> & Pick<SubscribeOptions, 'onBatch'>;

export interface SubscriptionContext {
  readonly settings: KafkaSettings;
  readonly feed: Feed;
  /** Connections of this member alone. */
  readonly wire: Wire;
  readonly direct: Wire;
}

interface Holding {
  readonly at: TopicPartition;
  delivery: Delivery | undefined;
  releasing: boolean;
  /** May no longer commit: it is another member's, or about to be. */
  fenced: boolean;
}

export function openSubscription(context: SubscriptionContext, options: MemberOptions): Subscription {
  const { feed, wire, direct, settings } = context;
  const { group, topics, onBatch, onAssigned, onRevoked, onError, revokeTimeoutMs } = options;
  const holdings = new Map<string, Holding>();
  const releases = new Set<Promise<void>>();
  let leaving = false;

  const membership = joinGroup({ wire, direct }, group, topics, settings, {
    held: () => grouped([...holdings.values()].map(({ at }) => at)),
    assigned(partitions) {
      if (leaving) return;
      const keys = new Set(partitions.map(partitionKey));
      release([...holdings.values()].filter(({ at }) => !keys.has(partitionKey(at))));
      grant(partitions.filter((at) => !holdings.has(partitionKey(at))));
    },
    async lost() {
      for (const holding of holdings.values()) holding.fenced = true;
      await release([...holdings.values()], { handOver: false });
      await Promise.all(releases);
    },
  });

  function grant(partitions: readonly TopicPartition[]): void {
    if (partitions.length === 0) return;
    const granted = partitions.map(
      (at): Holding => ({ at, delivery: undefined, releasing: false, fenced: false }),
    );
    for (const holding of granted) holdings.set(partitionKey(holding.at), holding);
    try {
      onAssigned(partitions);
    } catch (error) {
      warn(error);
    }
    if (!onBatch) return;
    for (const holding of granted)
      if (!holding.releasing)
        holding.delivery = startDelivery(feed, offsetsOf(holding), holding.at, { ...options, onBatch });
  }

  function offsetsOf(holding: Holding): Offsets {
    const { at } = holding;
    const what = `${at.topic}/${at.partition}`;
    return {
      committed: () =>
        direct.attempt(`find what group ${group} committed of ${what}`, async () => {
          const coordinator = await direct.coordinator('group', group);
          return (await committedOffsets(coordinator, group, [at]))[0]?.offset;
        }),
      commit: (offset) => membership.commit(at, offset, () => !holding.fenced),
      bound: (which) =>
        direct.attempt(`find the ${which} offset of ${what}`, async () => {
          const [found] = await listOffsets(direct, [at], which);
          return found!.offset;
        }),
    };
  }

  /** Has handlers stop, and lets go when they have. */
  function release(candidates: readonly Holding[], { handOver = true } = {}): Promise<void> {
    const going = candidates.filter(({ releasing }) => !releasing);
    if (going.length === 0) return Promise.resolve();
    for (const holding of going) {
      holding.releasing = true;
      holding.delivery?.abort();
    }
    const released = finish(going).finally(() => {
      releases.delete(released);
      if (handOver) membership.rejoin();
    });
    releases.add(released);
    return released;
  }

  async function finish(going: readonly Holding[]): Promise<void> {
    await within(revokeTimeoutMs, Promise.all(going.map(({ delivery }) => delivery?.ended)));
    try {
      const revoked = Promise.resolve(onRevoked(going.map(({ at }) => at)));
      if (!(await within(revokeTimeoutMs, revoked)))
        warn(new LogError('LOG_REVOKE_TIMEOUT', `onRevoked did not end within ${revokeTimeoutMs} ms.`));
    } catch (error) {
      warn(error);
    }
    for (const holding of going) {
      holding.fenced = true;
      holdings.delete(partitionKey(holding.at));
      const unfinished = holding.delivery?.handling();
      if (unfinished) report(onError, lateHandler(unfinished, revokeTimeoutMs), unfinished);
    }
  }

  async function leave(): Promise<void> {
    leaving = true;
    await release([...holdings.values()], { handOver: false });
    await Promise.all(releases);
    await membership.leave();
    wire.close();
  }

  let left: Promise<void> | undefined;
  return {
    assignment: () =>
      [...holdings.values()]
        .filter(({ releasing }) => !releasing)
        .map(({ at }) => at)
        .sort((a, b) => (a.topic < b.topic ? -1 : a.topic > b.topic ? 1 : a.partition - b.partition)),
    close() {
      left ??= leave();
      return left;
    },
  };
}

const lateHandler = ({ topic, partition }: Batch, revokeTimeoutMs: number) =>
  new LogError(
    'LOG_REVOKE_TIMEOUT',
    `The handler of partition ${partition} of ${topic} went on for ${revokeTimeoutMs} ms after its signal aborted; the partition was taken from it, and the batch will be delivered again.`,
  );
