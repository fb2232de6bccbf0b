import { memoryLog } from '@rlhf-streams/log';
import { logConformance, numbered, readAll } from '@rlhf-streams/log/conformance';
import { describe, expect, it } from 'vitest';
import { prefixed } from './prefixed.js';

logConformance('prefixed', {
  create: async () => ({ log: prefixed(memoryLog(), 'mine.'), cleanup: async () => {} }),
});

describe('logs with different prefixes', () => {
  it('share a log and see nothing of each other', async () => {
    const shared = memoryLog();
    const [mine, yours] = [prefixed(shared, 'mine.'), prefixed(shared, 'yours.')];
    for (const log of [mine, yours])
      await log.ensureTopics([{ name: 'topic', partitions: 2, cleanup: 'delete' }]);
    await mine.publish(numbered('topic', 10));
    expect(await readAll(yours, ['topic'])).toEqual([]);
    const older = await mine.transactional('producer');
    await yours.transactional('producer');
    await older.transact({
      records: numbered('topic', 5),
      commits: [{ group: 'group', topic: 'topic', partition: 0, offset: 1 }],
    });
    const sums = async (log: typeof mine) =>
      (await log.lag('group', ['topic'])).topic!.reduce((sum, lag) => sum + lag, 0);
    expect([await sums(mine), await sums(yours)]).toEqual([14, 0]);
    expect(await shared.lag('mine.group', ['mine.topic'])).toEqual({
      'mine.topic': (await mine.lag('group', ['topic'])).topic,
    });
    await shared.close();
  });
});
