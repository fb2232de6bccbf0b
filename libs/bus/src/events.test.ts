import { describe, expect, it } from 'vitest';
import { all, consume, events, lag, log, poison, rejections, scored, useLog } from './bus.test.support.js';
import { createEvents } from './events.js';
import { advance } from './received.js';

useLog();

describe('publish', () => {
  it('is read back with its id, its key and its place', async () => {
    await events.publish([scored(1), scored(2)]);
    const read = await all(events.readAll(['rewards']));
    expect(read.map(({ id, type, key }) => [id, type, key])).toEqual([
      ['reward/r/0/0/1', 'reward.scored', 'r/0/0'],
      ['reward/r/0/0/2', 'reward.scored', 'r/0/0'],
    ]);
    expect(read[0]).toMatchObject({ topic: 'rewards', data: { score: 1 } });
    expect(read[1]!.offset).toBeGreaterThan(read[0]!.offset);
  });

  it('publishes nothing when one of the events is invalid', async () => {
    await expect(events.publish([scored(1), scored(2, Number.NaN)])).rejects.toMatchObject({
      code: 'EVENT_INVALID',
    });
    expect(await all(events.readAll(['rewards']))).toEqual([]);
  });

  it('publishes and commits in one transaction, and only the newest writer may', async () => {
    await events.publish([scored(1)]);
    const [first] = await all(events.readAll(['rewards']));
    const stale = await events.transactional('run-r');
    const writer = await events.transactional('run-r');
    const commit = { group: 'g', topic: 'rewards', partition: first!.partition, offset: first!.offset + 1 };
    await writer.publish([scored(2)], [commit]);
    expect((await all(events.readAll(['rewards']))).map(({ id }) => id)).toEqual([
      'reward/r/0/0/1',
      'reward/r/0/0/2',
    ]);
    expect(await lag()).toBe(1);
    await expect(stale.publish([scored(3)])).rejects.toMatchObject({ code: 'LOG_FENCED' });
    await writer.close();
  });
});

describe('follow', () => {
  it('goes on with what comes, until the event asked for', async () => {
    await events.publish([scored(1)]);
    const until = ({ id }: { id: string }) => id.endsWith('/3');
    const following = all(events.follow({ topics: ['rewards'], until }));
    await events.publish([scored(2), scored(3), scored(4)]);
    expect((await following).map(({ id }) => id.at(-1))).toEqual(['1', '2', '3']);
  });

  it('goes on from positions', async () => {
    await events.publish([scored(1), scored(2), scored(3)]);
    const read = await all(events.readAll(['rewards']));
    const from = read.slice(0, 2).reduce(advance, {});
    expect((await all(events.readAll(['rewards'], { from }))).map(({ id }) => id.at(-1))).toEqual(['3']);
  });

  it('rejects a poison record once, whoever reads it and how often', async () => {
    await poison();
    await events.publish([scored(1)]);
    const readers = [1, 2, 3].map(() => all(events.readAll(['rewards'])));
    for (const read of await Promise.all(readers)) expect(read).toHaveLength(1);
    const restarted = createEvents({ log, source: 'reward' });
    expect(await all(restarted.readAll(['rewards']))).toHaveLength(1);
    expect(await rejections()).toMatchObject([{ service: 'reward', cause: { code: 'EVENT_NOT_JSON' } }]);
  });

  it('ends quietly when aborted or closed; a cut-short readAll says so', async () => {
    const controller = new AbortController();
    const aborted = all(events.follow({ topics: ['rewards'], signal: controller.signal }));
    const closed = all(events.follow({ topics: ['rewards'] }));
    controller.abort();
    expect(await aborted).toEqual([]);
    await events.close();
    expect(await closed).toEqual([]);
    await expect(all(events.readAll(['rewards']))).rejects.toMatchObject({ code: 'RUNTIME_STOPPED' });
    await expect(consume({})).rejects.toMatchObject({ code: 'RUNTIME_STOPPED' });
  });
});
