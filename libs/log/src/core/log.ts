import { linked } from '@rlhf-streams/waiting';
import { LogError } from '../errors.js';
import type { Batch, EventLog, Subscription } from '../port.js';
import type { LogAdapter } from './adapter.js';
import { checkName, checkTopic, checkTrim } from './checks.js';
import { createClosing } from './closing.js';
import { lagOf } from './lag.js';
import { checkCommit, memberOptions, type ReadPlan, readPlan } from './options.js';

/** Makes the port of an adapter: checks options, closes in order and computes lag, once for every kind of log. */
export function createLog(adapter: LogAdapter): EventLog {
  const subscriptions = new Set<Subscription>();
  const closing = createClosing(
    () => Promise.all([...subscriptions].map((subscription) => subscription.close())),
    () => adapter.close(),
  );

  async function* read(
    plan: Omit<ReadPlan, 'signal'>,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<Batch> {
    const either = linked(signal, closing.signal);
    try {
      if (!either.signal.aborted) yield* adapter.read({ ...plan, signal: either.signal });
    } catch (error) {
      if (!either.signal.aborted) throw error;
    } finally {
      either.release();
    }
  }

  return {
    async ensureTopics(topics, { settings = false } = {}) {
      closing.assertOpen();
      topics.forEach(checkTopic);
      await adapter.ensureTopics(topics, { settings });
    },

    async planTopics(topics) {
      closing.assertOpen();
      topics.forEach(checkTopic);
      return adapter.planTopics(topics);
    },

    async publish(records) {
      closing.assertWritable();
      await closing.track(adapter.publish(records));
    },

    async transactional(id) {
      closing.assertOpen();
      checkName('transactional id', id);
      const producer = await adapter.openProducer(id);
      const running = new Set<Promise<void>>();
      let open = true;
      return {
        async transact({ records, commits = [] }) {
          closing.assertWritable();
          if (!open) throw new LogError('LOG_CLOSED', `Producer ${id} is closed: open another.`);
          commits.forEach(checkCommit);
          const transaction = closing.track(producer.transact(records, commits));
          running.add(transaction);
          try {
            await transaction;
          } finally {
            running.delete(transaction);
          }
        },
        async close() {
          open = false;
          await Promise.allSettled(running);
        },
      };
    },

    async subscribe(options) {
      closing.assertOpen();
      const subscription = await adapter.join(memberOptions(options));
      const left: Subscription = {
        assignment: () => subscription.assignment(),
        async close() {
          await subscription.close();
          subscriptions.delete(left);
        },
      };
      subscriptions.add(left);
      if (closing.signal.aborted) await left.close();
      closing.assertOpen();
      return left;
    },

    read(options) {
      closing.assertOpen();
      return read(readPlan(options), options.signal);
    },

    async positions(topics) {
      closing.assertOpen();
      return adapter.positions(topics);
    },

    async trim(before) {
      closing.assertOpen();
      const { earliest, latest } = await adapter.positions(Object.keys(before));
      const ends = Object.entries(before).flatMap(([topic, offsets]) =>
        offsets.map((offset, partition) => ({ topic, partition, offset })),
      );
      for (const end of ends) checkTrim(end, latest);
      const within = ends.filter(({ topic, partition, offset }) => offset > earliest[topic]![partition]!);
      if (within.length > 0) await closing.track(adapter.trim(within));
    },

    async lag(group, topics) {
      closing.assertOpen();
      checkName('group', group);
      const positions = await adapter.positions(topics);
      const partitions = topics.flatMap((topic) =>
        positions.latest[topic]!.map((_, partition) => ({ topic, partition })),
      );
      return lagOf(positions, await adapter.committed(group, partitions));
    },

    close: () => closing.close(),
  };
}
