import { describe, expect, it } from 'vitest';
import type { EventLog, LogRecord } from '../port.js';
import { aborted, type Harness, numbered, readAll, textOf, uniqueName } from './harness.js';

export function lifeCycleTests(harness: Harness): void {
  async function newTopic(log: EventLog, partitions: number): Promise<string> {
    const name = uniqueName('topic');
    await log.ensureTopics([{ name, partitions, cleanup: 'delete' }]);
    return name;
  }

  describe('closing', () => {
    it('ends reads and subscriptions, lets handlers finish, and is idempotent', async () => {
      const { log, cleanup } = await harness.create();
      const topic = await newTopic(log, 2);
      await log.publish(numbered(topic, 20));
      const read: LogRecord[] = [];
      const reading = (async () => {
        for await (const batch of log.read({ topics: [topic], follow: true })) read.push(...batch.records);
      })();
      const story: string[] = [];
      const subscription = await log.subscribe({
        group: uniqueName('group'),
        topics: [topic],
        async onBatch({ records }, context) {
          story.push('handling');
          await aborted(context);
          await context.commit(records[0]!);
          story.push('finished');
        },
      });
      await harness.until(
        'both partitions are being handled',
        () => story.length === 2 && read.length === 20,
      );
      await Promise.all([log.close(), log.close()]);
      expect(story.toSorted()).toEqual(['finished', 'finished', 'handling', 'handling']);
      await reading;
      await log.close();
      await subscription.close();
      expect(subscription.assignment()).toEqual([]);
      await cleanup();
    });

    it('is told to everyone who still calls', async () => {
      const { log, cleanup } = await harness.create();
      const topic = await newTopic(log, 1);
      const producer = await log.transactional(uniqueName('producer'));
      await log.close();
      const refusal = { code: 'LOG_CLOSED' };
      await expect(log.publish(numbered(topic, 1))).rejects.toMatchObject(refusal);
      await expect(log.subscribe({ group: 'any', topics: [topic] })).rejects.toMatchObject(refusal);
      await expect(log.positions([topic])).rejects.toMatchObject(refusal);
      await expect(log.lag('any', [topic])).rejects.toMatchObject(refusal);
      await expect(log.trim({ [topic]: [0] })).rejects.toMatchObject(refusal);
      await expect(log.transactional('any')).rejects.toMatchObject(refusal);
      await expect(log.ensureTopics([])).rejects.toMatchObject(refusal);
      await expect(log.planTopics([])).rejects.toMatchObject(refusal);
      await expect(producer.transact({ records: numbered(topic, 1) })).rejects.toMatchObject(refusal);
      await expect(readAll(log, [topic])).rejects.toMatchObject(refusal);
      await cleanup();
    });
  });

  describe('a log opened again', () => {
    it('has its records, positions, commits and transactional ids', async ({ skip }) => {
      const { log, reopen, cleanup } = await harness.create();
      if (!reopen) {
        await log.close();
        await cleanup();
        skip();
        return;
      }
      const topic = await newTopic(log, 2);
      const group = uniqueName('group');
      const id = uniqueName('producer');
      await log.publish(numbered(topic, 30));
      const older = await log.transactional(id);
      await older.transact({ records: numbered(topic, 10, 'transacted ') });
      let handled = 0;
      await log.subscribe({
        group,
        topics: [topic],
        onBatch: async ({ records }) => {
          handled += records.length;
        },
      });
      await harness.until('all is handled', () => handled === 40);
      const [records, positions] = [await readAll(log, [topic]), await log.positions([topic])];
      await log.close();

      const again = await reopen();
      expect(await again.positions([topic])).toEqual(positions);
      expect((await readAll(again, [topic])).toSorted(byPlace)).toEqual(records.toSorted(byPlace));
      expect((await again.lag(group, [topic]))[topic]).toEqual([0, 0]);
      const newer = await again.transactional(id);
      await newer.transact({ records: numbered(topic, 5, 'newer ') });
      const later: string[] = [];
      await again.subscribe({
        group,
        topics: [topic],
        onBatch: async (batch) => void later.push(...batch.records.map(textOf)),
      });
      await harness.until('the newer are handled', () => later.length >= 5);
      expect(later.toSorted()).toEqual(['newer 0', 'newer 1', 'newer 2', 'newer 3', 'newer 4']);
      await again.close();
      await cleanup();
    });
  });
}

const byPlace = (a: LogRecord, b: LogRecord) => a.partition - b.partition || a.offset - b.offset;
