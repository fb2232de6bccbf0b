/** Deletes records from the front of partitions (KIP-107). */
import type { TopicPartition } from '@rlhf-streams/log';
import { byLeader, byTopic } from '../wire/partitions.js';
import type { Wire } from '../wire/wire.js';

/** Each leader is asked topic by topic: kafkajs reads the errors of one topic alone. */
export async function trimTopics(
  wire: Wire,
  before: readonly (TopicPartition & { readonly offset: number })[],
): Promise<void> {
  const topics = [...new Set(before.map(({ topic }) => topic))];
  await wire.attempt(`delete old records of ${topics.join(', ')}`, async () => {
    for (const [nodeId, ofLeader] of await byLeader(wire, before)) {
      const broker = await wire.broker(nodeId);
      const requests = byTopic(ofLeader, ({ partition, offset }) => ({ partition, offset: String(offset) }));
      for (const topic of requests) await orItsFirstError(() => broker.deleteRecords({ topics: [topic] }));
    }
  });
}

/** kafkajs's error of the whole request has no type: those of its partitions say whether it may be made again. */
async function orItsFirstError(request: () => Promise<unknown>): Promise<void> {
  try {
    await request();
  } catch (error) {
    throw (error as { partitions?: { error?: unknown }[] }).partitions?.[0]?.error ?? error;
  }
}
