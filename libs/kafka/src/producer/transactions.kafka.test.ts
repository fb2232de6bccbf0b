import '@rlhf-streams/kafka-broker/vitest';
import { readAll, sum } from '@rlhf-streams/log/conformance';
import { describe, expect, inject, it } from 'vitest';
import {
  newTopic,
  numbered,
  openLog,
  TEST_TIMEOUT_MS,
  texts,
  uniqueName,
  until,
  watchRequests,
  watchSockets,
} from '../broker.test.support.js';
import { otherClient } from '../wire/client.test.support.js';

const kafka = inject('kafka');

describe.skipIf(!kafka)('transactions', { timeout: TEST_TIMEOUT_MS }, () => {
  const brokers = kafka?.brokers ?? [];

  it('of a zombie fail, and do not fence its successor, whatever became of its connection', async () => {
    const sockets = watchSockets();
    const log = await openLog({ brokers });
    const topic = await newTopic(log);
    const id = uniqueName('producer');
    const zombie = await log.transactional(id);
    await zombie.transact({ records: numbered(topic, 1, 'zombie ') });
    const successor = await (await openLog({ brokers })).transactional(id);
    sockets.cut();
    const expected = ['zombie 0'];
    for (let i = 0; i < 3; i++) {
      await expect(zombie.transact({ records: numbered(topic, 1, 'late ') })).rejects.toMatchObject({
        code: 'LOG_FENCED',
      });
      await successor.transact({ records: numbered(topic, 1, `successor ${i} `) });
      expected.push(`successor ${i} 0`);
      if (i === 1) sockets.cut();
    }
    expect(texts(await readAll(log, [topic]))).toEqual(expected);
  });

  it('of a zombie that cannot hear fail, and do not fence its successor, once it can', async () => {
    const sockets = watchSockets();
    const { onDebug, count } = watchRequests();
    const log = await openLog({ brokers, deadlineMs: 3_000, onDebug });
    const topic = await newTopic(log);
    const id = uniqueName('producer');
    const zombie = await log.transactional(id);
    await zombie.transact({ records: numbered(topic, 1, 'zombie ') });
    const asked = () => count('EndTxn') + count('InitProducerId');
    const before = asked();
    const deaf = sockets.open();
    for (const socket of deaf) socket.pause();
    const late = zombie.transact({ records: numbered(topic, 1, 'late ') });
    const failure = expect(late).rejects.toMatchObject({ code: 'LOG_UNAVAILABLE' });
    const other = await openLog({ brokers });
    const successor = await other.transactional(id);
    await until('it has given up, and would go on with a new transaction', () => asked() > before);
    for (const socket of deaf) socket.resume();
    await failure;
    await successor.transact({ records: numbered(topic, 1, 'successor ') });
    await expect(zombie.transact({ records: numbered(topic, 1, 'late ') })).rejects.toMatchObject({
      code: 'LOG_FENCED',
    });
    await successor.transact({ records: numbered(topic, 1, 'successor ') });
    expect(texts(await readAll(other, [topic]))).toEqual(['zombie 0', 'successor 0', 'successor 0']);
  });

  it('that a broker refuses leave nothing, and do not harm the next', async () => {
    const log = await openLog({ brokers, compression: 'none' });
    const small = await newTopic(log, 1, { settings: { 'max.message.bytes': '2000' } });
    const [other, source] = [await newTopic(log), await newTopic(log)];
    await log.publish(numbered(source, 3));
    const group = uniqueName('group');
    const producer = await log.transactional(uniqueName('producer'));
    const commits = [{ group, topic: source, partition: 0, offset: 3 }];
    const large = { topic: small, key: 'key', value: 'x'.repeat(5_000) };
    for (let i = 0; i < 2; i++)
      await expect(
        producer.transact({ records: [...numbered(other, 5), large], commits }),
      ).rejects.toMatchObject({ code: 'LOG_RECORD_TOO_LARGE' });
    expect(await readAll(log, [small, other])).toEqual([]);
    expect((await log.lag(group, [source]))[source]).toEqual([3]);
    await producer.transact({ records: [...numbered(small, 1), ...numbered(other, 1)], commits });
    expect(await readAll(log, [small, other])).toHaveLength(2);
    expect((await log.lag(group, [source]))[source]).toEqual([0]);
  });

  it('happen once and wholly, while connections are cut', async () => {
    const sockets = watchSockets();
    const log = await openLog({ brokers, sessionTimeoutMs: 3_000 });
    const [source, target] = [await newTopic(log, 3), await newTopic(log)];
    const group = uniqueName('group');
    const records = numbered(source, 120);
    const producer = await log.transactional(uniqueName('producer'));
    await log.subscribe({
      group,
      topics: [source],
      maxBatchRecords: 5,
      retryDelayMs: 1,
      onError: () => {},
      async onBatch({ topic, partition, records: batch }) {
        await producer.transact({
          records: batch.map(({ key, value }) => ({ topic: target, key, value })),
          commits: [{ group, topic, partition, offset: batch.at(-1)!.offset + 1 }],
        });
      },
    });
    for (let at = 0; at < records.length; at += 10) {
      const published = log.publish(records.slice(at, at + 10));
      sockets.cut();
      await published;
      const lag = async () => sum((await log.lag(group, [source]))[source]!);
      await until('most is transacted', async () => (await lag()) < 20);
      sockets.cut();
    }
    await until('all is', async () => sum((await log.lag(group, [source]))[source]!) === 0);
    expect(texts(await readAll(log, [source])).toSorted()).toEqual(
      records.map(({ value }) => value).toSorted(),
    );
    expect(texts(await readAll(log, [target])).toSorted()).toEqual(
      records.map(({ value }) => value).toSorted(),
    );
  });

  it('of which nobody knows yet how they end are waited for by who asks for offsets they commit', async () => {
    const { onDebug, count } = watchRequests();
    const log = await openLog({ brokers, onDebug });
    const topic = await newTopic(log);
    const group = uniqueName('group');
    await log.publish(numbered(topic, 5));
    const other = await otherClient(brokers).producer(uniqueName('producer'));
    const transaction = await other.transaction();
    const partitions = [{ partition: 0, offset: '3' }];
    await transaction.sendOffsets({ consumerGroupId: group, topics: [{ topic, partitions }] });
    let isAnswered = false;
    const lag = log.lag(group, [topic]).finally(() => {
      isAnswered = true;
    });
    const rest: string[] = [];
    await log.subscribe({
      group,
      topics: [topic],
      onBatch: async ({ records }) => void rest.push(...texts(records)),
    });
    await until('both ask again and again', () => count('OffsetFetch') >= 10);
    expect([isAnswered, rest]).toEqual([false, []]);
    await transaction.commit();
    expect(await lag).toEqual({ [topic]: [2] });
    await until('the rest is handled', () => rest.length >= 2);
    expect(rest).toEqual(['record 3', 'record 4']);
  });

  it('ask once who coordinates them', async () => {
    const { onDebug, count } = watchRequests();
    const log = await openLog({ brokers, onDebug });
    const topic = await newTopic(log);
    const producer = await log.transactional(uniqueName('producer'));
    const before = count('GroupCoordinator');
    for (let i = 0; i < 10; i++) await producer.transact({ records: numbered(topic, 1) });
    expect(count('EndTxn')).toBeGreaterThanOrEqual(10);
    expect([before, count('GroupCoordinator')]).toEqual([1, 1]);
  });
});

describe.skipIf(!kafka)('publishing', { timeout: TEST_TIMEOUT_MS }, () => {
  const brokers = kafka?.brokers ?? [];

  it('is once and in order, while connections are cut', async () => {
    const sockets = watchSockets();
    const log = await openLog({ brokers });
    const topic = await newTopic(log, 2);
    const published: Promise<void>[] = [];
    for (let call = 0; call < 40; call++) {
      published.push(log.publish([0, 1, 2].map((i) => ({ topic, key: `key ${i}`, value: `${call}/${i}` }))));
      if (call % 4 === 3) {
        await Promise.race(published.slice(-4));
        sockets.cut();
      }
    }
    await Promise.all(published);
    const records = await readAll(log, [topic]);
    for (const key of ['key 0', 'key 1', 'key 2']) {
      const calls = texts(records.filter((record) => record.key === key)).map((text) =>
        Number(text.split('/')[0]),
      );
      expect(calls).toEqual(Array.from({ length: 40 }, (_, call) => call));
    }
  });

  it('is once where the broker has it and its answer is lost', async () => {
    const sockets = watchSockets();
    const log = await openLog({ brokers });
    const topic = await newTopic(log);
    await log.publish(numbered(topic, 1));
    const deaf = () => sockets.open().filter((socket) => socket.isPaused());
    for (let i = 1; i <= 3; i++) {
      for (const socket of sockets.open()) socket.pause();
      const published = log.publish(numbered(topic, 1, `${i} `));
      const other = await openLog({ brokers });
      await until(
        'the broker has it',
        async () => (await other.positions([topic])).latest[topic]![0] === i + 1,
      );
      for (const socket of deaf()) socket.destroy(new Error('cut by the test'));
      await published;
      expect(await readAll(log, [topic])).toHaveLength(i + 1);
      await other.close();
    }
  });

  it('and much else, at once, over connections that were cut, opens one for either again', async () => {
    const sockets = watchSockets();
    const log = await openLog({ brokers });
    const topic = await newTopic(log, 4);
    await log.publish(numbered(topic, 10));
    sockets.cut();
    await Promise.all(Array.from({ length: 20 }, () => log.positions([topic])));
    await log.publish(numbered(topic, 10));
    expect(sockets.open()).toHaveLength(2);
  });
});
