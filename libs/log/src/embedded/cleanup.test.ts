import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { numbered, readAll, textOf } from '../conformance/harness.js';
import type { TopicSpec } from '../port.js';
import { embeddedLog } from './index.js';

let directory: string;
let time: number;
const open = () => embeddedLog({ directory, now: () => time });

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'log-'));
  time = 1_000_000;
});
afterEach(() => rm(directory, { recursive: true }));

describe('retention', () => {
  const spec: TopicSpec = { name: 'rollouts', partitions: 2, cleanup: 'delete', retentionMs: 1_000 };

  it('drops what is older in ensureTopics, and never gives an offset twice', async () => {
    const log = await open();
    await log.ensureTopics([spec]);
    await log.publish(numbered('rollouts', 3_000, 'old '));
    const { latest: end } = await log.positions(['rollouts']);
    time += 900;
    await log.publish(numbered('rollouts', 20, 'young '));
    time += 200;
    await log.ensureTopics([spec]);
    expect((await log.positions(['rollouts'])).earliest).toEqual(end);
    expect((await readAll(log, ['rollouts'])).every((record) => textOf(record).startsWith('young '))).toBe(
      true,
    );
    const { latest } = await log.positions(['rollouts']);
    await log.close();

    time += 5_000;
    const again = await open();
    expect((await again.positions(['rollouts'])).earliest).toEqual(end);
    await again.ensureTopics([spec]);
    expect(await again.positions(['rollouts'])).toEqual({ earliest: latest, latest });
    expect((await again.lag('none', ['rollouts'])).rollouts).toEqual([0, 0]);
    await again.publish([{ topic: 'rollouts', key: 'k', value: 'newest' }]);
    const [newest, ...rest] = await readAll(again, ['rollouts']);
    expect(newest!.offset).toBe(latest.rollouts![newest!.partition]);
    expect(rest).toEqual([]);
    await again.close();
  });

  it('moves a group that lags behind it to the earliest record', async () => {
    const log = await open();
    await log.ensureTopics([{ ...spec, partitions: 1 }]);
    await log.publish(numbered('rollouts', 10, 'old '));
    time += 2_000;
    await log.publish(numbered('rollouts', 1, 'young '));
    await log.ensureTopics([{ ...spec, partitions: 1 }]);
    const texts = await new Promise<string[]>((resolve) => {
      void log.subscribe({
        group: 'late',
        topics: ['rollouts'],
        onBatch: async ({ records }) => resolve(records.map(textOf)),
      });
    });
    expect(texts).toEqual(['young 0']);
    await log.close();
  });
});

describe('compaction', () => {
  const spec: TopicSpec = { name: 'versions', partitions: 1, cleanup: 'compact' };

  it('keeps the last record of each key at its offset', async () => {
    const log = await open();
    await log.ensureTopics([spec]);
    await log.publish(numbered('versions', 2_500));
    const before = await readAll(log, ['versions']);
    await log.ensureTopics([spec]);
    const last = new Map(before.map((record) => [record.key, record]));
    const kept = [...last.values()].toSorted((a, b) => a.offset - b.offset);
    expect(await readAll(log, ['versions'])).toEqual(kept);
    await log.close();

    const again = await open();
    await again.ensureTopics([spec]);
    expect(await readAll(again, ['versions'])).toEqual(kept);
    expect(await again.positions(['versions'])).toEqual({
      earliest: { versions: [0] },
      latest: { versions: [2_500] },
    });
    await again.publish([{ topic: 'versions', key: 'key 1', value: 'newest' }]);
    expect((await readAll(again, ['versions'], { versions: [2_500] }))[0]!.offset).toBe(2_500);
    await again.close();
  });
});
