import { withDeadline, within } from '@rlhf-streams/waiting';
import { LogError, warn } from '../errors.js';
import type { Batch, TopicPartition } from '../port.js';
import { type Delivery, type PartitionSource, report, startDelivery } from './delivery.js';
import type { MemberOptions } from './options.js';
import { partitionKey } from './partition-key.js';

/**
 * The partitions that a member of a group has, with a delivery each. Rebalancing is cooperative: a partition that
 * should go to another member is released first, which ends its handler, and only then granted there.
 */
export interface Holdings {
  /** Every partition that may not be another member's yet: those being released, too. */
  held(): readonly TopicPartition[];
  has(at: TopicPartition): boolean;
  /** The partitions that are not being released, in the order of topics and partitions. */
  assignment(): readonly TopicPartition[];
  /** Calls `onAssigned` and begins to deliver. */
  grant(partitions: readonly TopicPartition[]): void;
  /**
   * Has handlers stop, waits for them and for `onRevoked` (each `revokeTimeoutMs` at most), lets the partitions go and
   * calls `done`. What is being released already stays so.
   */
  release(partitions: readonly TopicPartition[], done?: () => void): void;
  /** Refuses every further commit, because the group went on without this member. */
  fence(): void;
  /** Resolves when nothing is being released. */
  settled(): Promise<void>;
}

interface Holding {
  readonly at: TopicPartition;
  delivery: Delivery | undefined;
  releasing: boolean;
  /** Its commits are refused: the partition is another member's, or about to be. */
  fenced: boolean;
}

/** @param sourceOf makes what is delivered of a partition; its commits ask `holds` whether they are still allowed. */
export function createHoldings(
  options: MemberOptions,
  sourceOf: (at: TopicPartition, holds: () => boolean) => PartitionSource,
): Holdings {
  const { onBatch, onAssigned, onRevoked, onError, revokeTimeoutMs } = options;
  const holdings = new Map<string, Holding>();
  const releases = new Set<Promise<void>>();

  async function finish(going: readonly Holding[]): Promise<void> {
    await within(revokeTimeoutMs, Promise.all(going.map(({ delivery }) => delivery?.ended)));
    try {
      await withDeadline(() => onRevoked(going.map(({ at }) => at)), {
        ms: revokeTimeoutMs,
        late: () => new LogError('LOG_REVOKE_TIMEOUT', `onRevoked did not end within ${revokeTimeoutMs} ms.`),
      });
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

  return {
    held: () => [...holdings.values()].map(({ at }) => at),
    has: (at) => holdings.has(partitionKey(at)),
    assignment: () =>
      [...holdings.values()]
        .filter(({ releasing }) => !releasing)
        .map(({ at }) => at)
        .sort((a, b) => (a.topic < b.topic ? -1 : a.topic > b.topic ? 1 : a.partition - b.partition)),

    grant(partitions) {
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
      for (const holding of granted) {
        // onAssigned may have closed the subscription.
        if (holding.releasing) continue;
        const source = sourceOf(holding.at, () => !holding.fenced);
        holding.delivery = startDelivery(source, holding.at, { ...options, onBatch });
      }
    },

    release(partitions, done = () => {}) {
      const going = partitions
        .map((at) => holdings.get(partitionKey(at)))
        .filter((holding) => holding !== undefined)
        .filter(({ releasing }) => !releasing);
      if (going.length === 0) return;
      for (const holding of going) {
        holding.releasing = true;
        holding.delivery?.abort();
      }
      const released = finish(going).finally(() => {
        releases.delete(released);
        done();
      });
      releases.add(released);
    },

    fence() {
      for (const holding of holdings.values()) holding.fenced = true;
    },

    async settled() {
      await Promise.all(releases);
    },
  };
}

/** What a commit is refused with once the partition may be another member's. */
export const revoked = (group: string, { topic, partition }: TopicPartition): LogError =>
  new LogError(
    'LOG_REVOKED',
    `Group ${group} lost partition ${partition} of ${topic} to another member: stop, its records are delivered there.`,
  );

const lateHandler = ({ topic, partition }: Batch, revokeTimeoutMs: number) =>
  new LogError(
    'LOG_REVOKE_TIMEOUT',
    `The handler of partition ${partition} of ${topic} went on for ${revokeTimeoutMs} ms after its signal aborted; the partition was taken from it, and the batch will be delivered again.`,
  );
