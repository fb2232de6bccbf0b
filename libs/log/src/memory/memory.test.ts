import { describe, expect, it } from 'vitest';
import { numbered, textOf, until } from '../conformance/harness.js';
import { logConformance } from '../conformance/index.js';
import { memoryLog } from './index.js';

logConformance('memory', { create: async () => ({ log: memoryLog(), cleanup: async () => {} }) });

logConformance('memory (delayed and reordered)', {
  create: async () => ({
    log: memoryLog({ seed: 11, faults: { delay: 0.5, reorder: true } }),
    cleanup: async () => {},
  }),
});

const DEADLINE_MS = 10_000;

/** Deliveries of 200 records of four partitions as text, in order. */
async function deliveries(options: Parameters<typeof memoryLog>[0], commitEach = false): Promise<string[]> {
  const log = memoryLog(options);
  await log.ensureTopics([{ name: 'numbers', partitions: 4, cleanup: 'delete' }]);
  await log.publish(numbered('numbers', 200));
  const delivered: string[] = [];
  await log.subscribe({
    group: 'readers',
    topics: ['numbers'],
    maxBatchRecords: 10,
    async onBatch({ partition, records }, { commit }) {
      for (const record of records) {
        delivered.push(`${partition} ${textOf(record)}`);
        if (commitEach) await commit(record);
      }
    },
  });
  await until(
    'all is committed',
    async () => (await log.lag('readers', ['numbers'])).numbers!.every((n) => n === 0),
    DEADLINE_MS,
  );
  await log.close();
  return delivered;
}

describe('faults of the memory log', () => {
  it.each([{ duplicate: 0.5 }, { crash: 0.5 }, { crash: 1 }])(
    '%j deliver again, and lose nothing',
    async (faults) => {
      const delivered = await deliveries({ seed: 3, faults });
      expect(new Set(delivered).size).toBe(200);
      expect(delivered.length).toBeGreaterThan(200);
    },
  );

  it('never undo what the handler committed itself', async () => {
    const delivered = await deliveries({ seed: 3, faults: { duplicate: 1, crash: 1 } }, true);
    expect(delivered).toHaveLength(200);
  });

  it('keep the order of first deliveries within a partition', async () => {
    const faults = { duplicate: 0.3, crash: 0.3, delay: 0.5, reorder: true };
    const first = [...new Set(await deliveries({ seed: 5, faults }))];
    for (const partition of ['0', '1', '2', '3']) {
      const numbers = first.filter((s) => s.startsWith(partition)).map((s) => Number(s.split(' ').at(-1)));
      expect(numbers).toEqual(numbers.toSorted((a, b) => a - b));
    }
  });

  it('are the same for the same seed, and others for another', async () => {
    const faults = { duplicate: 0.3, crash: 0.2, delay: 0.3, reorder: true };
    const [once, again, other] = [
      await deliveries({ seed: 1, faults }),
      await deliveries({ seed: 1, faults }),
      await deliveries({ seed: 2, faults }),
    ];
    expect(again).toEqual(once);
    expect(other).not.toEqual(once);
  });

  it('shuffle partitions', async () => {
    const order = (delivered: string[]) => delivered.map((s) => s[0]).join('');
    const plain = order(await deliveries({}));
    expect(order(await deliveries({ seed: 1, faults: { reorder: true } }))).not.toBe(plain);
  });

  it('must be probabilities', () => {
    expect(() => memoryLog({ faults: { crash: 1.5 } })).toThrow(
      expect.objectContaining({ code: 'LOG_INVALID' }),
    );
  });
});

describe('retention and compaction in memory', () => {
  it('follow the clock given', async () => {
    let now = 1_000;
    const log = memoryLog({ now: () => now });
    const kept = { name: 'kept', partitions: 1, cleanup: 'compact' } as const;
    const dropped = { name: 'dropped', partitions: 1, cleanup: 'delete', retentionMs: 500 } as const;
    await log.ensureTopics([kept, dropped]);
    await log.publish([...numbered('kept', 30), ...numbered('dropped', 30)]);
    now = 2_000;
    await log.publish(numbered('dropped', 5));
    await log.ensureTopics([kept, dropped]);
    const { earliest, latest } = await log.positions(['kept', 'dropped']);
    expect(earliest).toEqual({ kept: [0], dropped: [30] });
    expect(latest).toEqual({ kept: [30], dropped: [35] });
    const offsets: number[] = [];
    for await (const { records } of log.read({ topics: ['kept'], follow: false }))
      offsets.push(...records.map(({ offset }) => offset));
    expect(offsets).toEqual(Array.from({ length: 17 }, (_, i) => 13 + i));
    await log.close();
  });
});
