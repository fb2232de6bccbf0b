import '@rlhf-streams/kafka-broker/vitest';
import { type KafkaCluster, startKafka } from '@rlhf-streams/kafka-broker';
import type { TransactionalProducer } from '@rlhf-streams/log';
import { readAll, sum } from '@rlhf-streams/log/conformance';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import {
  follow,
  newTopic,
  numbered,
  openLog,
  textOf,
  texts,
  uniqueName,
  until,
} from './broker.test.support.js';

const START_TIMEOUT_MS = 180_000;
const TIMEOUT_MS = 240_000;

describe.skipIf(!inject('kafka'))('a broker of its own', { timeout: TIMEOUT_MS }, () => {
  let cluster: KafkaCluster;
  beforeAll(async () => {
    cluster = await startKafka({
      settings: {
        'log.cleaner.backoff.ms': '100',
        // Batches that compaction leaves empty are removed at once, where the broker may.
        'log.cleaner.delete.retention.ms': '1',
      },
    });
  }, START_TIMEOUT_MS);
  afterAll(() => cluster?.stop(), START_TIMEOUT_MS);

  it('compacts batches empty, which readers get past', async () => {
    const [older, newer] = [
      await openLog({ brokers: cluster.brokers }),
      await openLog({ brokers: cluster.brokers }),
    ];
    const topic = await newTopic(older, 1, {
      cleanup: 'compact',
      settings: { 'segment.ms': '100', 'min.cleanable.dirty.ratio': '0.01' },
    });
    const record = (key: string, value: string) => ({ topic, key, value });
    for (const value of ['1', '2', '3'])
      await older.publish([record('key', value), record('key', `${value}!`)]);
    // A producer's last batch stays, though it has no records any more.
    await newer.publish([record('key', 'last')]);
    let fillers = 0;
    await until(
      'all but the last are compacted',
      async () => {
        await newer.publish([record('filler', String(fillers++))]);
        const found = texts((await readAll(newer, [topic])).filter(({ key }) => key === 'key'));
        return found.join() === 'last';
      },
      TIMEOUT_MS / 2,
    );
    const all = await readAll(newer, [topic]);
    expect(all[0]).toMatchObject({ offset: 6, key: 'key' });
    for (let from = 0; from < 6; from++)
      expect((await readAll(newer, [topic], { [topic]: [from] }))[0]).toMatchObject({ offset: 6 });
    const group = uniqueName('group');
    await newer.subscribe({ group, topics: [topic], onBatch: async () => {} });
    await until('a group is through', async () => (await newer.lag(group, [topic]))[topic]![0] === 0);
  });

  it('is killed and comes back: transactions and groups go on, nothing is lost or doubled', async () => {
    const [node] = cluster.nodes;
    const log = await openLog({ brokers: cluster.brokers });
    const [source, target] = [await newTopic(log, 3), await newTopic(log, 2)];
    const group = uniqueName('group');
    const followed: string[] = [];
    void follow(log, [target], ({ records }) => followed.push(...texts(records)));
    const ids = [uniqueName('producer'), uniqueName('producer'), uniqueName('producer')];
    const producers = new Map<number, TransactionalProducer>();
    await log.subscribe({
      group,
      topics: [source],
      maxBatchRecords: 5,
      onError: () => {},
      async onBatch({ topic, partition, records }) {
        if (!producers.has(partition)) producers.set(partition, await log.transactional(ids[partition]!));
        try {
          await producers.get(partition)!.transact({
            records: records.map(({ key, value }) => ({ topic: target, key, value })),
            commits: [{ group, topic, partition, offset: records.at(-1)!.offset + 1 }],
          });
        } catch (error) {
          // While the broker was away the transaction took too long, and the broker aborted it: no other owner exists.
          producers.delete(partition);
          throw error;
        }
      },
    });
    const lag = async () => sum((await log.lag(group, [source]))[source]!);
    const sent: string[] = [];
    for (let round = 0; round < 3; round++) {
      const records = numbered(source, 100, `${round}/`);
      sent.push(...records.map((record) => record.value as string));
      // Some records are under way when the broker dies.
      const published = Promise.all(
        Array.from({ length: 10 }, (_, i) => log.publish(records.slice(10 * i, 10 * i + 10))),
      );
      if (round > 0) await node!.kill();
      if (round > 0) await node!.start();
      await published;
      await until('some of it is transacted', async () => (await lag()) < 80, TIMEOUT_MS / 4);
    }
    await until('all is', async () => (await lag()) === 0, TIMEOUT_MS / 2);
    expect((await readAll(log, [source])).map(textOf).toSorted()).toEqual(sent.toSorted());
    expect((await readAll(log, [target])).map(textOf).toSorted()).toEqual(sent.toSorted());
    await until('it was followed to the end', () => followed.length >= sent.length);
    expect(followed.toSorted()).toEqual(sent.toSorted());
  });
});
