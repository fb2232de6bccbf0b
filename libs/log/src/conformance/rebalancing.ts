import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import type { LogRecord, SubscribeOptions } from '../port.js';
import { aborted, gate, type Harness, numbered, textOf, uniqueName } from './harness.js';

export function rebalancingTests(harness: Harness): void {
  const values = (topic: string, count: number) =>
    numbered(topic, count)
      .map(({ value }) => value as string)
      .toSorted();

  /** A group whose first member stops in the middle of each batch, having committed `commitFirst` records of it. */
  async function stuckMember(topic: string, group: string, commitFirst: number) {
    const goOn = gate();
    const stuck = new Set<number>();
    const stopped = new Set<number>();
    const done: LogRecord[] = [];
    const subscription = await harness.subscribe({
      group,
      topics: [topic],
      async onBatch({ partition, records }, context) {
        if (commitFirst > 0) {
          await context.commit(records[commitFirst - 1]!);
          done.push(...records.slice(0, commitFirst));
        }
        stuck.add(partition);
        await Promise.race([aborted(context), goOn.opened]);
        if (context.signal.aborted) stopped.add(partition);
        else done.push(...records.slice(commitFirst));
      },
    });
    return { goOn, stuck, stopped, done, subscription };
  }

  async function collector(options: Pick<SubscribeOptions, 'group' | 'topics'>) {
    const records: LogRecord[] = [];
    const subscription = await harness.subscribe({
      ...options,
      onBatch: async (batch) => void records.push(...batch.records),
    });
    return { records, subscription };
  }

  const joining = [
    { title: 'nothing committed', committed: 0 },
    { title: 'a part committed', committed: 3 },
  ];

  describe('rebalancing', () => {
    it.each(joining)(
      'in the middle of a batch, with $title: a new member gets the rest',
      async ({ committed }) => {
        const topic = await harness.topic(2);
        const group = uniqueName('group');
        await harness.log.publish(numbered(topic, 80));
        const first = await stuckMember(topic, group, committed);
        await harness.until('it is in the middle of both partitions', () => first.stuck.size === 2);
        const second = await collector({ group, topics: [topic] });
        await harness.until('the new member works', () => second.records.length > 0);
        expect(first.stopped.size).toBeGreaterThan(0);
        const { partition, offset } = second.records[0]!;
        expect(first.stopped).toContain(partition);
        const before = first.done.filter((record) => record.partition === partition);
        expect(before).toHaveLength(committed);
        expect(before.every((record) => record.offset < offset)).toBe(true);
        first.goOn.open();
        const all = () => [...first.done, ...second.records];
        await harness.until('all is handled', () => new Set(all().map(textOf)).size === 80);
        expect([...new Set(all().map(textOf))].toSorted()).toEqual(values(topic, 80));
      },
    );

    it('when a member leaves in the middle of a batch, the others get what it did not commit', async () => {
      const topic = await harness.topic(2);
      const group = uniqueName('group');
      const leaving = await stuckMember(topic, group, 2);
      const staying = await collector({ group, topics: [topic] });
      const sizes = () => [leaving, staying].map(({ subscription }) => subscription.assignment().length);
      await harness.until('each has a partition', () => sizes().join() === '1,1');
      await harness.log.publish(numbered(topic, 80));
      await harness.until('one is in the middle of its batch', () => leaving.stuck.size === 1);
      await leaving.subscription.close();
      expect(leaving.stopped).toEqual(leaving.stuck);
      const all = () => [...leaving.done, ...staying.records].map(textOf);
      await harness.until('all is handled', () => new Set(all()).size === 80);
      expect(all().toSorted()).toEqual(values(topic, 80));
    });

    it('awaits the handler, which may commit what it finishes, before another member begins', async () => {
      const topic = await harness.topic();
      const group = uniqueName('group');
      await harness.log.publish(numbered(topic, 10));
      const story: string[] = [];
      const first = await harness.subscribe({
        group,
        topics: [topic],
        async onBatch({ records }, context) {
          story.push('first begins');
          await aborted(context);
          for (let i = 0; i < 50; i++) await turn();
          await context.commit(records[4]!);
          story.push('first ends');
        },
      });
      await harness.until('the first handles', () => story.length === 1);
      const rest: string[] = [];
      await harness.subscribe({
        group,
        topics: [topic],
        async onBatch({ records }) {
          story.push('second begins');
          rest.push(...records.map(textOf));
        },
      });
      await first.close();
      await harness.until('the second has handled the rest', () => rest.includes('record 9'));
      expect(story.slice(0, 3)).toEqual(['first begins', 'first ends', 'second begins']);
      expect(rest).toEqual(['record 5', 'record 6', 'record 7', 'record 8', 'record 9']);
    });

    it('loses nothing while members come and go', async () => {
      const topic = await harness.topic(4);
      const group = uniqueName('group');
      const handled: LogRecord[] = [];
      const join = () =>
        harness.subscribe({
          group,
          topics: [topic],
          maxBatchRecords: 10,
          onBatch: async (batch) => void handled.push(...batch.records),
        });
      const members = [await join()];
      for (let round = 0; round < 4; round++) {
        await harness.log.publish(numbered(topic, 100, `${round} `));
        if (members.length === 3) await members.shift()!.close();
        members.push(await join());
      }
      await harness.until('all is handled', () => new Set(handled.map(textOf)).size === 400);
      await harness.until(
        'the partitions are shared',
        () => members.flatMap((member) => member.assignment()).length === 4,
      );
    });

    it('awaits onRevoked before another member begins', async () => {
      const topic = await harness.topic();
      const group = uniqueName('group');
      const revoking = gate();
      const release = gate();
      const story: string[] = [];
      const first = await harness.subscribe({
        group,
        topics: [topic],
        async onRevoked() {
          revoking.open();
          await release.opened;
          story.push('first has let go');
        },
      });
      await harness.until('the first has the partition', () => first.assignment().length === 1);
      const second = await harness.subscribe({
        group,
        topics: [topic],
        onAssigned: () => void story.push('second has it'),
      });
      const closed = first.close();
      await revoking.opened;
      release.open();
      await closed;
      await harness.until('the second has the partition', () => second.assignment().length === 1);
      expect(story).toEqual(['first has let go', 'second has it']);
    });

    it('gives members without a handler their partitions too', async () => {
      const topic = await harness.topic(3);
      const assigned: number[] = [];
      await harness.subscribe({
        group: uniqueName('group'),
        topics: [topic],
        onAssigned: (partitions) => void assigned.push(...partitions.map(({ partition }) => partition)),
      });
      await harness.until('all are assigned', () => assigned.length === 3);
      expect(assigned.toSorted()).toEqual([0, 1, 2]);
    });
  });
}
