import '@rlhf-streams/kafka-broker/vitest';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import net from 'node:net';
import type { EventLog, LogRecord } from '@rlhf-streams/log';
import { readAll, sum } from '@rlhf-streams/log/conformance';
import { describe, expect, inject, it, onTestFinished } from 'vitest';
import {
  follow,
  newTopic,
  numbered,
  openLog,
  TEST_TIMEOUT_MS,
  textOf,
  texts,
  uniqueName,
  until,
  watchRequests,
  watchWarnings,
} from '../broker.test.support.js';
import { otherClient } from '../wire/client.test.support.js';

const kafka = inject('kafka');

describe.skipIf(!kafka)('readers', { timeout: TEST_TIMEOUT_MS }, () => {
  const brokers = kafka?.brokers ?? [];
  const open = () => openLog({ brokers, sessionTimeoutMs: 3_000 });
  const lag = async (log: EventLog, group: string, topic: string) =>
    sum((await log.lag(group, [topic]))[topic]!);

  async function handled(log: EventLog, topic: string) {
    const group = uniqueName('group');
    const records: LogRecord[] = [];
    await log.subscribe({
      group,
      topics: [topic],
      onBatch: async (batch) => void records.push(...batch.records),
    });
    return { group, records };
  }

  it('get past the markers of transactions: positions, lag and ends count them', async () => {
    const log = await open();
    const topic = await newTopic(log);
    const producer = await log.transactional(uniqueName('producer'));
    const { group, records } = await handled(log, topic);
    for (let i = 0; i < 3; i++) await producer.transact({ records: numbered(topic, 2) });
    await until(
      'all is handled and committed',
      async () => records.length === 6 && (await lag(log, group, topic)) === 0,
    );
    const { latest } = await log.positions([topic]);
    expect(latest[topic]).toEqual([9]);
    expect(await readAll(log, [topic])).toHaveLength(6);
    // From there on, nothing is left but the control record of the last transaction.
    expect(await readAll(log, [topic], { [topic]: [8] })).toEqual([]);
    await producer.transact({ records: numbered(topic, 1) });
    await until('the next is handled', () => records.length === 7);
  });

  it('see nothing of aborted transactions, among others that are committed', async () => {
    const log = await open();
    const topic = await newTopic(log);
    const other = otherClient(brokers);
    const [plain, ...producers] = [
      await other.producer(),
      await other.producer(uniqueName('a')),
      await other.producer(uniqueName('b')),
    ];
    const followed: string[] = [];
    void follow(log, [topic], ({ records }) => followed.push(...texts(records)));
    // This is the key of the control record of an abort.
    const markerKey = Buffer.alloc(4);
    const send = (to: Pick<typeof plain, 'send'>, value: string) =>
      to.send({ topic, messages: [{ key: markerKey, value, partition: 0 }] });
    const [aborted, committed] = await Promise.all(producers.map((each) => each.transaction()));
    await send(aborted!, 'aborted 1');
    await send(plain, 'plain 1');
    await send(committed!, 'committed 1');
    await send(aborted!, 'aborted 2');
    await send(committed!, 'committed 2');
    await aborted!.abort();
    const again = await producers[0]!.transaction();
    await send(again, 'again 1');
    await send(plain, 'plain 2');
    await committed!.commit();
    await again.commit();
    const wholly = await producers[1]!.transaction();
    await send(wholly, 'aborted 3');
    await wholly.abort();
    await send(plain, 'plain 3');
    const visible = ['plain 1', 'committed 1', 'committed 2', 'again 1', 'plain 2', 'plain 3'];
    await until('the last is read', () => followed.includes('plain 3'));
    expect(followed).toEqual(visible);
    expect(texts(await readAll(log, [topic]))).toEqual(visible);
    // A read may begin within the aborted transaction, or within the committed one.
    expect(texts(await readAll(log, [topic], { [topic]: [3] }))).toEqual(visible.slice(2));
    const { group, records } = await handled(log, topic);
    await until('all is handled', async () => records.length === 6 && (await lag(log, group, topic)) === 0);
  });

  it('to the end wait for a transaction under way, which hides what others have published', async () => {
    const log = await open();
    const topic = await newTopic(log);
    const producer = await otherClient(brokers).producer(uniqueName('producer'));
    for (const ending of ['commit', 'abort'] as const) {
      const before = texts(await readAll(log, [topic]));
      const transaction = await producer.transaction();
      await transaction.send({ topic, messages: [{ value: `${ending} 1` }] });
      await log.publish(numbered(topic, 1, `after ${ending} `));
      let isOver = false;
      const reading = readAll(log, [topic]).finally(() => {
        isOver = true;
      });
      // Reads that began later have ended, so this one had the time.
      const fresh = await newTopic(log);
      await log.publish(numbered(fresh, 1));
      for (let i = 0; i < 5; i++) await readAll(log, [fresh]);
      expect(isOver).toBe(false);
      await transaction[ending]();
      const visible = [...(ending === 'commit' ? ['commit 1'] : []), `after ${ending} 0`];
      expect(texts(await reading)).toEqual([...before, ...visible]);
    }
  });

  it('to the end fail when nobody ends a transaction', async () => {
    const topic = await newTopic(await open());
    const impatient = await openLog({ brokers, deadlineMs: 2_000 });
    const producer = await otherClient(brokers).producer(uniqueName('producer'));
    const transaction = await producer.transaction();
    await transaction.send({ topic, messages: [{ value: 'hidden' }] });
    await expect(readAll(impatient, [topic])).rejects.toMatchObject({
      code: 'LOG_UNAVAILABLE',
      message: expect.stringContaining(`${topic}/0 (at 0, to 1)`),
    });
    await transaction.commit();
    expect(texts(await readAll(impatient, [topic]))).toEqual(['hidden']);
  });

  it('get every record, however many partitions do not fit into one answer', async () => {
    const log = await openLog({ brokers, compression: 'none' });
    const topic = await newTopic(log, 14);
    for (let round = 0; round < 7; round++)
      await log.publish(
        Array.from({ length: 28 }, (_, i) => ({ topic, key: `key ${i}`, value: randomBytes(100_000) })),
      );
    const records = await readAll(log, [topic]);
    expect(records).toHaveLength(7 * 28);
    const { latest } = await log.positions([topic]);
    expect(sum(latest[topic]!)).toBe(7 * 28);
  });

  it('go on at the earliest record when those before are gone', async () => {
    const log = await open();
    const topic = await newTopic(log);
    const group = uniqueName('group');
    await log.publish(numbered(topic, 10));
    const producer = await log.transactional(uniqueName('producer'));
    await producer.transact({ records: [], commits: [{ group, topic, partition: 0, offset: 2 }] });
    const admin = await otherClient(brokers).admin();
    // kafkajs's client must know the topic before it deletes records of it.
    await admin.fetchTopicOffsets(topic);
    await admin.deleteTopicRecords({ topic, partitions: [{ partition: 0, offset: '6' }] });
    const records: LogRecord[] = [];
    await log.subscribe({
      group,
      topics: [topic],
      onBatch: async (batch) => void records.push(...batch.records),
    });
    await until('the rest is handled', () => records.length === 4);
    expect(records.map(({ offset }) => offset)).toEqual([6, 7, 8, 9]);
    expect((await readAll(log, [topic], { [topic]: [3] })).map(({ offset }) => offset)).toEqual([6, 7, 8, 9]);
  });

  it('that stand past the end wait for it, and hold up no other', async () => {
    const log = await open();
    const [short, long] = [await newTopic(log), await newTopic(log)];
    const ahead: LogRecord[] = [];
    const controller = new AbortController();
    const reading = (async () => {
      const from = { [short]: [3] };
      for await (const { records } of log.read({
        topics: [short],
        from,
        follow: true,
        signal: controller.signal,
      }))
        ahead.push(...records);
    })();
    const others: LogRecord[] = [];
    void follow(log, [long], ({ records }) => others.push(...records));
    for (let i = 0; i < 20; i++) {
      await log.publish(numbered(long, 1, `${i} `));
      await until('it is read', () => others.length === i + 1);
    }
    expect(ahead).toEqual([]);
    await log.publish(numbered(short, 5));
    await until('the end has come up', () => ahead.length > 0);
    expect(texts(ahead)).toEqual(['record 3', 'record 4']);
    controller.abort();
    await reading;
  });

  it('of a topic that is removed fail, and hold up no other', async () => {
    const log = await open();
    const [removed, kept] = [await newTopic(log), await newTopic(log)];
    const group = uniqueName('group');
    const records: LogRecord[] = [];
    const collect = async (batch: { readonly records: readonly LogRecord[] }) =>
      void records.push(...batch.records);
    await log.subscribe({ group, topics: [removed, kept], onBatch: collect });
    await log.publish([...numbered(removed, 1), ...numbered(kept, 1)]);
    const followed: LogRecord[] = [];
    const ended = follow(log, [removed], () => {});
    void follow(log, [kept], (batch) => followed.push(...batch.records));
    await until('both are read', () => records.length === 2 && followed.length === 1);
    const admin = await otherClient(brokers).admin();
    await admin.deleteTopics({ topics: [removed] });
    await until('it is gone', async () => {
      const outcome = await log.publish(numbered(removed, 1)).catch((error) => error.code);
      return outcome === 'LOG_UNKNOWN_TOPIC';
    });
    for (let i = 0; i < 10; i++) {
      await log.publish(numbered(kept, 1));
      await until('the other goes on', () => records.filter(({ topic }) => topic === kept).length === i + 2);
    }
    await expect(ended).rejects.toMatchObject({ code: 'LOG_UNKNOWN_TOPIC' });
    const second: LogRecord[] = [];
    await log.subscribe({
      group,
      topics: [kept],
      onBatch: async (batch) => void second.push(...batch.records),
    });
    await log.publish(numbered(kept, 1, 'last '));
    await until('the group still forms', () =>
      [...records, ...second].some((record) => textOf(record) === 'last 0'),
    );
  });

  it('find a broker that answers, though the first they are told of does not', async () => {
    const sockets: net.Socket[] = [];
    const silent = net.createServer((socket) => sockets.push(socket));
    silent.listen(0, '127.0.0.1');
    await once(silent, 'listening');
    onTestFinished(() => {
      silent.close();
      for (const socket of sockets) socket.destroy();
    });
    const { port } = silent.address() as net.AddressInfo;
    const log = await openLog({ brokers: [`127.0.0.1:${port}`, ...brokers], deadlineMs: 14_000 });
    const topic = await newTopic(log);
    await log.publish(numbered(topic, 3));
    expect(await readAll(log, [topic])).toHaveLength(3);
  });

  it('share requests and connections, and leave no listeners behind', async () => {
    const warnings = watchWarnings();
    const { onDebug, count } = watchRequests();
    const log = await openLog({ brokers, onDebug });
    const topic = await newTopic(log, 12);
    const seen = Array.from({ length: 100 }, () => 0);
    const signal = new AbortController();
    const readings = seen.map(async (_, index) => {
      for await (const { records } of log.read({ topics: [topic], follow: true, signal: signal.signal }))
        seen[index]! += records.length;
    });
    await log.publish(numbered(topic, 100));
    await until('all have all', () => seen.every((n) => n === 100));
    const before = count('Fetch');
    for (let i = 1; i <= 5; i++) {
      await log.publish(numbered(topic, 1));
      await until('all have the next', () => seen.every((n) => n === 100 + i));
    }
    // A record takes one or two requests; others found nothing meanwhile.
    expect(count('Fetch') - before).toBeLessThan(50);
    signal.abort();
    await Promise.all(readings);
    expect(warnings).toEqual([]);
  });
});
