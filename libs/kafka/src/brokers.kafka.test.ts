import '@rlhf-streams/kafka-broker/vitest';
import { type KafkaCluster, startKafka } from '@rlhf-streams/kafka-broker';
import type { EventLog, LogRecord } from '@rlhf-streams/log';
import { readAll, sum } from '@rlhf-streams/log/conformance';
import { afterAll, beforeAll, describe, expect, inject, it, onTestFinished } from 'vitest';
import {
  follow,
  newTopic,
  numbered,
  openLog,
  textOf,
  texts,
  uniqueName,
  until,
  watchSockets,
} from './broker.test.support.js';
import { kafkaSettings } from './options.js';
import { openWire } from './wire/wire.js';

const START_TIMEOUT_MS = 240_000;
const TIMEOUT_MS = 240_000;
const FACT_TIMEOUT_MS = 60_000;

describe.skipIf(!inject('kafka'))('three brokers', { timeout: TIMEOUT_MS }, () => {
  let cluster: KafkaCluster;
  beforeAll(async () => {
    cluster = await startKafka({ nodes: 3 });
  }, START_TIMEOUT_MS);
  afterAll(() => cluster?.stop(), START_TIMEOUT_MS);

  const values = (records: readonly LogRecord[]) => texts(records).toSorted();
  const lag = async (log: EventLog, group: string, topic: string) =>
    sum((await log.lag(group, [topic]))[topic]!);

  /** Opens connections for the test's own questions to the cluster. */
  function wireTo(brokers: readonly string[]) {
    const wire = openWire(kafkaSettings({ brokers }));
    onTestFinished(() => wire.close());
    return wire;
  }

  async function collectors(logs: readonly EventLog[], group: string, topic: string) {
    const records: LogRecord[] = [];
    for (const log of logs)
      await log.subscribe({
        group,
        topics: [topic],
        onBatch: async (batch) => void records.push(...batch.records),
      });
    return records;
  }

  it('of which one falls silent: partitions that others lead are read and written as before', async () => {
    const sockets = watchSockets();
    const log = await openLog({ brokers: cluster.brokers });
    const topic = await newTopic(log, 6);
    await log.publish(numbered(topic, 60));
    const followed: LogRecord[] = [];
    void follow(log, [topic], ({ records }) => followed.push(...records));
    await until('all is read', () => followed.length === 60);
    const partitions = await wireTo(cluster.brokers).partitions(topic);
    const [silent] = cluster.nodes;
    const heard = new Set(
      partitions.filter(({ leader }) => leader !== silent!.id).map(({ partitionId }) => partitionId),
    );
    expect([...heard].length).toBeGreaterThan(0);
    const keys = followed.filter(({ partition }) => heard.has(partition)).map(({ key }) => key);
    const others = followed.filter(({ partition }) => !heard.has(partition)).map(({ key }) => key);
    sockets.silence(Number(silent!.address.split(':')[1]));
    const stuck = log.publish([{ topic, key: others[0]!, value: 'stuck' }]);
    let isOver = false;
    const over = () => {
      isOver = true;
    };
    stuck.then(over, over);
    for (let i = 0; i < 10; i++) {
      await log.publish([{ topic, key: keys[i % keys.length]!, value: `heard ${i}` }]);
      await until('it is read', () => followed.some((record) => textOf(record) === `heard ${i}`));
    }
    expect(isOver).toBe(false);
  });

  it('of which one is lost for good: all goes on with two', async () => {
    const logs = [await openLog({ brokers: cluster.brokers }), await openLog({ brokers: cluster.brokers })];
    const [log] = logs as [EventLog, EventLog];
    const [source, target] = [await newTopic(log, 6), await newTopic(log, 3)];
    const group = uniqueName('group');
    const handled = await collectors(logs, group, source);
    const followed: LogRecord[] = [];
    void follow(log, [source, target], ({ records }) => followed.push(...records));
    const producer = await log.transactional(uniqueName('producer'));
    const sent: string[] = [];
    const transacted: string[] = [];
    async function round(name: string): Promise<void> {
      const records = numbered(source, 50, `${name} `);
      sent.push(...records.map(({ value }) => value as string));
      const more = numbered(target, 10, `transacted ${name} `);
      transacted.push(...more.map(({ value }) => value as string));
      await Promise.all([log.publish(records), producer.transact({ records: more })]);
    }
    await round('with three');
    await until('it is handled', () => handled.length >= 50, FACT_TIMEOUT_MS);

    // The broker that coordinates the group is the one that is lost.
    const wire = wireTo(cluster.brokers);
    const coordinator = await wire.coordinator('group', group);
    const lost = cluster.nodes.find(({ address }) => address === coordinator.brokerAddress)!;
    const during = round('while it dies');
    await lost.kill();
    const answers = () =>
      wire.brokers().then(
        () => true,
        () => false,
      );
    await until('the others count it out', answers, FACT_TIMEOUT_MS);
    const find = () => wire.coordinator('group', group);
    const next = await wire.attempt('find who coordinates now', find, { deadlineMs: FACT_TIMEOUT_MS });
    expect(next.brokerAddress).not.toBe(lost.address);
    await during;
    await round('with two');
    await until('all is handled', () => new Set(texts(handled)).size === 150, FACT_TIMEOUT_MS);
    await until('and committed', async () => (await lag(log, group, source)) === 0, FACT_TIMEOUT_MS);
    expect(values(await readAll(log, [source]))).toEqual(sent.toSorted());
    expect(values(await readAll(log, [target]))).toEqual(transacted.toSorted());
    await until('all is followed', () => followed.length >= 180, FACT_TIMEOUT_MS);
    expect(values(followed)).toEqual([...sent, ...transacted].toSorted());

    const fresh = await openLog({ brokers: cluster.brokers });
    const topic = await newTopic(fresh, 3, { replication: 2 });
    const again = await collectors([fresh], uniqueName('group'), topic);
    await fresh.publish(numbered(topic, 10));
    await until('a new group works', () => again.length === 10, FACT_TIMEOUT_MS);
  });
});
