import { describe, expect, it } from 'vitest';
import type { TopicSpec } from '../port.js';
import { type Harness, numbered, readAll, uniqueName } from './harness.js';

const HOUR = 3_600_000;

export function topicTests(harness: Harness): void {
  const newSpec = (change: Partial<TopicSpec> = {}): TopicSpec => ({
    name: uniqueName('topic'),
    partitions: 2,
    cleanup: 'delete',
    retentionMs: 24 * HOUR,
    ...change,
  });
  /** A topic that exists, and its specification. */
  const existing = async (change: Partial<TopicSpec> = {}): Promise<TopicSpec> => {
    const spec = newSpec(change);
    await harness.log.ensureTopics([spec]);
    return spec;
  };
  const planned = (...specs: TopicSpec[]) => harness.log.planTopics(specs);
  const shapeOf = async ({ name }: TopicSpec) => (await harness.log.positions([name])).latest[name]?.length;
  /** Settings are known to every broker only some time after `ensureTopics` resolves. */
  const untilPlanned = (spec: TopicSpec, count: number) =>
    harness.until(
      `${count} changes are planned`,
      async () => (await harness.log.planTopics([spec])).length === count,
    );

  describe('topics', () => {
    it('are created once, and only grow', async () => {
      const spec = await existing();
      await harness.log.publish(numbered(spec.name, 20));
      await harness.log.ensureTopics([spec]);
      expect(await shapeOf(spec)).toBe(2);
      await harness.log.ensureTopics([{ ...spec, partitions: 5 }]);
      await harness.until('the topic has grown', async () => (await shapeOf(spec)) === 5);
      await harness.log.ensureTopics([{ ...spec, partitions: 1 }]);
      expect(await shapeOf(spec)).toBe(5);
      expect(await readAll(harness.log, [spec.name])).toHaveLength(20);
    });

    it('have names and settings that Kafka would take', async () => {
      for (const bad of [
        { name: 'a b' },
        { name: '' },
        { name: '..' },
        { partitions: 0 },
        { retentionMs: -1 },
        { replication: 0 },
        { settings: { 'retention.ms': '1' } },
        { settings: { 'segment.bytes': 7 } as unknown as Record<string, string> },
      ]) {
        const refusal = { code: 'LOG_INVALID' };
        await expect(harness.log.ensureTopics([newSpec(bad)])).rejects.toMatchObject(refusal);
        await expect(harness.log.planTopics([newSpec(bad)])).rejects.toMatchObject(refusal);
      }
    });
  });

  describe('a plan of topics', () => {
    it('names what is missing, creates nothing, and is empty once that is there', async () => {
      const spec = newSpec();
      const change = { topic: spec.name, kind: 'create', applies: true };
      expect(await planned(spec)).toEqual([{ ...change, to: expect.stringContaining('2') }]);
      await expect(harness.log.positions([spec.name])).rejects.toMatchObject({ code: 'LOG_UNKNOWN_TOPIC' });
      await harness.log.ensureTopics([spec]);
      expect(await planned(spec)).toEqual([]);
    });

    it('names partitions to add, and is empty once they are', async () => {
      const spec = { ...(await existing()), partitions: 4 };
      expect(await planned(spec)).toEqual([
        { topic: spec.name, kind: 'partitions', from: '2', to: '4', applies: true },
      ]);
      expect(await shapeOf(spec)).toBe(2);
      await harness.log.ensureTopics([spec]);
      await untilPlanned(spec, 0);
    });

    it('names retention that differs, which is set where asked for and nowhere else', async () => {
      const [spec, other] = [await existing(), await existing()];
      const longer = { ...spec, retentionMs: 48 * HOUR };
      const change = {
        topic: spec.name,
        kind: 'setting',
        setting: 'retention.ms',
        from: String(24 * HOUR),
        to: String(48 * HOUR),
        applies: true,
      };
      expect(await planned(longer, other)).toEqual([change]);
      await harness.log.ensureTopics([longer]);
      expect(await planned(longer, other)).toEqual([change]);
      await harness.log.ensureTopics([longer, other], { settings: true });
      await untilPlanned(longer, 0);
      expect(await planned(spec, other)).toEqual([{ ...change, from: change.to, to: change.from }]);

      const forever: TopicSpec = { name: spec.name, partitions: 2, cleanup: 'delete' };
      expect(await planned(forever)).toEqual([{ ...change, from: change.to, to: '-1' }]);
      await harness.log.ensureTopics([forever], { settings: true });
      await untilPlanned(forever, 0);
    });

    it('names cleanup that differs', async () => {
      const { name } = await existing();
      const spec: TopicSpec = { name, partitions: 2, cleanup: 'compact' };
      const change = { topic: name, kind: 'setting', setting: 'cleanup.policy', applies: true };
      expect(await planned(spec)).toEqual([{ ...change, from: 'delete', to: 'compact' }]);
      await harness.log.ensureTopics([spec], { settings: true });
      await untilPlanned(spec, 0);
    });

    it('says of fewer partitions that they will not be, and they are not', async () => {
      const spec = await existing();
      const fewer = { ...spec, partitions: 1 };
      const change = { topic: spec.name, kind: 'partitions', from: '2', to: '1', applies: false };
      expect(await planned(fewer)).toEqual([{ ...change, note: expect.stringContaining('never removed') }]);
      await harness.log.ensureTopics([fewer], { settings: true });
      expect(await planned(fewer)).toMatchObject([change]);
      expect(await shapeOf(spec)).toBe(2);
    });
  });
}
