import { describe, expect, it } from 'vitest';
import { gate, numbered, textOf, until } from '../conformance/harness.js';
import { memoryLog } from '../memory/index.js';

const DEADLINE_MS = 10_000;

/** Not in the conformance suite, because a Kafka broker decides for itself when a member is dead. */
describe('a handler that ignores its signal', () => {
  it('loses the partition after revokeTimeoutMs, may not commit, and harms no one', async () => {
    const log = memoryLog();
    await log.ensureTopics([{ name: 'topic', partitions: 1, cleanup: 'delete' }]);
    await log.publish(numbered('topic', 3));
    const release = gate();
    const errors: unknown[] = [];
    const late: unknown[] = [];
    let begun = false;
    const zombie = await log.subscribe({
      group: 'group',
      topics: ['topic'],
      revokeTimeoutMs: 1,
      onError: (error) => errors.push(error),
      async onBatch({ records }, { commit }) {
        begun = true;
        await release.opened;
        await commit(records[2]!).catch((error) => late.push(error));
      },
    });
    await until('it is stuck', () => begun, DEADLINE_MS);
    await zombie.close();
    expect(errors).toMatchObject([{ code: 'LOG_REVOKE_TIMEOUT' }]);
    const texts: string[] = [];
    const hold = gate();
    await log.subscribe({
      group: 'group',
      topics: ['topic'],
      async onBatch({ records }) {
        texts.push(...records.map(textOf));
        await hold.opened;
      },
    });
    await until('the batch is delivered again', () => texts.length === 3, DEADLINE_MS);
    release.open();
    await until('the late commit is refused', () => late.length === 1, DEADLINE_MS);
    expect(late).toMatchObject([{ code: 'LOG_REVOKED' }]);
    expect(await log.lag('group', ['topic'])).toEqual({ topic: [3] });
    hold.open();
    await log.close();
  });
});

describe('from latest', () => {
  it('skips nothing published between two owners of a partition', async () => {
    const log = memoryLog();
    await log.ensureTopics([{ name: 'topic', partitions: 1, cleanup: 'delete' }]);
    await log.publish(numbered('topic', 5, 'old '));
    const options = { group: 'group', topics: ['topic'], from: 'latest' } as const;
    await (await log.subscribe({ ...options, onBatch: async () => {} })).close();
    await log.publish(numbered('topic', 2, 'between '));
    const texts: string[] = [];
    await log.subscribe({
      ...options,
      onBatch: async ({ records }) => void texts.push(...records.map(textOf)),
    });
    await until('they are delivered', () => texts.length === 2, DEADLINE_MS);
    expect(texts).toEqual(['between 0', 'between 1']);
    await log.close();
  });
});
