import type { TopicPartition } from '@rlhf-streams/log';
import { type PartitionSource, revoked } from '@rlhf-streams/log/core';
import { committedOffsets, listOffsets } from '../wire/offsets.js';
import type { Wire } from '../wire/wire.js';
import { createBell } from './bell.js';
import type { Feed } from './feed.js';
import type { Membership } from './membership.js';

export interface SourceContext {
  readonly group: string;
  readonly feed: Feed;
  readonly direct: Wire;
  readonly membership: () => Membership;
}

/** A partition as this member of the group sees it. */
export function partitionSource(
  { group, feed, direct, membership }: SourceContext,
  at: TopicPartition,
  holds: () => boolean,
): PartitionSource {
  const what = `${at.topic}/${at.partition}`;
  return {
    committed: () =>
      direct.attempt(`find what group ${group} committed of ${what}`, async () => {
        const coordinator = await direct.coordinator('group', group);
        return (await committedOffsets(coordinator, group, [at]))[0]?.offset;
      }),

    commit: (offset) =>
      membership().commit(at, offset, () => {
        if (!holds()) throw revoked(group, at);
      }),

    bound: (which) =>
      direct.attempt(`find the ${which} offset of ${what}`, async () => {
        const [found] = await listOffsets(direct, [at], which);
        return found!.offset;
      }),

    read(begin, signal) {
      const bell = createBell();
      const reader = feed.read(at, begin, bell.ring);
      signal.addEventListener('abort', bell.ring, { once: true });
      let passed = begin;
      return {
        async next(max) {
          while (!signal.aborted) {
            reader.check();
            if (reader.buffered > 0) {
              const records = reader.take(max);
              passed = reader.buffered > 0 ? records.at(-1)!.offset + 1 : reader.position;
              return { records, next: passed };
            }
            if (reader.position > passed) {
              passed = reader.position;
              return { records: [], next: passed };
            }
            await bell.rung();
          }
          return undefined;
        },
        seek(position) {
          passed = position;
          reader.seek(position);
        },
        close() {
          signal.removeEventListener('abort', bell.ring);
          reader.close();
        },
      };
    },
  };
}
