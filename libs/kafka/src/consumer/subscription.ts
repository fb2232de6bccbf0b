/** A subscription: a member of a consumer group, and what it holds of the group's partitions. */

import type { Subscription } from '@rlhf-streams/log';
import { createHoldings, type MemberOptions, partitionKey } from '@rlhf-streams/log/core';
import type { KafkaSettings } from '../options.js';
import type { Wire } from '../wire/wire.js';
import { grouped } from './claims.js';
import type { Feed } from './feed.js';
import { joinGroup } from './membership.js';
import { partitionSource } from './partition-source.js';

export interface SubscriptionContext {
  readonly settings: KafkaSettings;
  readonly feed: Feed;
  /** Connections of this member alone: a join is answered only when the whole group has joined. */
  readonly wire: Wire;
  readonly direct: Wire;
}

export function openSubscription(
  { settings, feed, wire, direct }: SubscriptionContext,
  options: MemberOptions,
): Subscription {
  const { group, topics } = options;
  const context = { group, feed, direct, membership: () => membership };
  const holdings = createHoldings(options, (at, holds) => partitionSource(context, at, holds));
  let leaving = false;

  const membership = joinGroup({ wire, direct }, group, topics, settings, {
    held: () => grouped(holdings.held()),
    assigned(partitions) {
      if (leaving) return;
      const keys = new Set(partitions.map(partitionKey));
      const gone = holdings.held().filter((at) => !keys.has(partitionKey(at)));
      holdings.release(gone, membership.rejoin);
      holdings.grant(partitions.filter((at) => !holdings.has(at)));
    },
    async lost() {
      holdings.fence();
      holdings.release(holdings.held());
      await holdings.settled();
    },
  });

  async function leave(): Promise<void> {
    leaving = true;
    holdings.release(holdings.held());
    await holdings.settled();
    await membership.leave();
    wire.close();
  }

  let left: Promise<void> | undefined;
  return {
    assignment: () => holdings.assignment(),
    close() {
      left ??= leave();
      return left;
    },
  };
}
