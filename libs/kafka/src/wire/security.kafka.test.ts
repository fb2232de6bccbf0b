import '@rlhf-streams/kafka-broker/vitest';
import { type KafkaCluster, startKafka, unlessUnavailable } from '@rlhf-streams/kafka-broker';
import type { LogRecord } from '@rlhf-streams/log';
import { readAll, sum } from '@rlhf-streams/log/conformance';
import kafkajs from 'kafkajs';
import { afterAll, beforeAll, beforeEach, describe, expect, inject, it } from 'vitest';
import {
  newTopic,
  numbered,
  openLog,
  TEST_TIMEOUT_MS,
  texts,
  uniqueName,
  until,
  watchRequests,
  watchWarnings,
} from '../broker.test.support.js';
import { type KafkaLogOptions, type KafkaSasl, kafkaLog } from '../index.js';
import { otherClient } from './client.test.support.js';

const START_TIMEOUT_MS = 180_000;
const MECHANISMS = ['plain', 'scram-sha-256', 'scram-sha-512'] as const;

describe.skipIf(!inject('kafka'))('a secure broker', { timeout: TEST_TIMEOUT_MS }, () => {
  let cluster: KafkaCluster | undefined;
  let options: KafkaLogOptions & { readonly sasl: KafkaSasl };
  beforeAll(async () => {
    const start = () =>
      startKafka({
        secure: true,
        settings: {
          // How long a login lasts; clients log in again ten seconds before its end.
          'connections.max.reauth.ms': '11500',
          'authorizer.class.name': 'org.apache.kafka.metadata.authorizer.StandardAuthorizer',
          'allow.everyone.if.no.acl.found': 'true',
        },
      });
    cluster = await unlessUnavailable(start, (reason) => `Tests of a secure broker are skipped: ${reason}`);
    if (!cluster) return;
    const { ca, username, password } = cluster.security!;
    options = { brokers: cluster.brokers, tls: { ca }, sasl: { mechanism: 'plain', username, password } };
  }, START_TIMEOUT_MS);
  afterAll(() => cluster?.stop(), START_TIMEOUT_MS);
  beforeEach(({ skip }) => {
    if (!cluster) skip();
  });

  function admin() {
    const { ca, username, password } = cluster!.security!;
    return otherClient(cluster!.brokers, {
      ssl: { ca },
      sasl: { mechanism: 'plain', username, password },
    }).admin();
  }

  it.each(MECHANISMS)('lets in who logs in with %s, for everything', async (mechanism) => {
    const log = await openLog({ ...options, sasl: { ...options.sasl, mechanism } });
    const [topic, group] = [await newTopic(log, 3), uniqueName('group')];
    const handled: LogRecord[] = [];
    await log.subscribe({
      group,
      topics: [topic],
      onBatch: async ({ records }) => void handled.push(...records),
    });
    await log.publish(numbered(topic, 20));
    const producer = await log.transactional(uniqueName('producer'));
    await producer.transact({ records: numbered(topic, 10) });
    await until(
      'all is handled',
      async () => handled.length === 30 && sum((await log.lag(group, [topic]))[topic]!) === 0,
    );
    expect(await readAll(log, [topic])).toHaveLength(30);
  });

  it('turns a wrong password away at once', async () => {
    for (const mechanism of MECHANISMS) {
      const sasl = { ...options.sasl, mechanism, password: 'wrong' };
      await expect(kafkaLog({ ...options, sasl })).rejects.toMatchObject({ code: 'LOG_DENIED' });
    }
  });

  it('that shows a certificate of an unknown authority is not talked to', async () => {
    await expect(kafkaLog({ ...options, tls: true })).rejects.toMatchObject({
      code: 'LOG_DENIED',
      message: expect.stringMatching(/certificate.*tls/i),
    });
  });

  it('is not asked for TLS by a client without: that says so at the deadline', async () => {
    const { brokers } = cluster!;
    await expect(kafkaLog({ brokers, deadlineMs: 2_000 })).rejects.toMatchObject({
      code: 'LOG_UNAVAILABLE',
      message: expect.stringContaining(brokers[0]!),
    });
  });

  it('hears from its clients again before their login ends, on the same connections', async () => {
    const { onDebug, count } = watchRequests();
    let connections = 0;
    const log = await openLog({
      ...options,
      onDebug(message) {
        onDebug(message);
        if (message === 'Connecting') connections++;
      },
    });
    const topic = await newTopic(log);
    const read: LogRecord[] = [];
    await log.subscribe({
      group: uniqueName('group'),
      topics: [topic],
      onBatch: async ({ records }) => void read.push(...records),
    });
    let published = 0;
    const publish = async () => {
      await log.publish(numbered(topic, 1, `${published++} `));
      await until('it is read', () => read.length === published);
    };
    // The connections are for requests, for what is published, for fetches at once, for fetches that wait, and the
    // member's own.
    const all = 6;
    await until('all connections are open', async () => {
      await publish();
      return connections === all;
    });
    const logins = count('SaslAuthenticate');
    await until('each has logged in twice more', async () => {
      await publish();
      return count('SaslAuthenticate') >= logins + 2 * all;
    });
    expect(connections).toBe(all);
  });

  it('denies what its access lists deny, and nothing else suffers', async () => {
    const warnings = watchWarnings();
    const log = await openLog(options);
    const [open, secret, unwritable] = [await newTopic(log), await newTopic(log), await newTopic(log)];
    const [group, secretGroup, id] = [uniqueName('group'), uniqueName('group'), uniqueName('producer')];
    await log.publish([...numbered(open, 1), ...numbered(secret, 1)]);
    const { AclResourceTypes, AclOperationTypes, AclPermissionTypes, ResourcePatternTypes } = kafkajs;
    const deny = (resourceType: number, resourceName: string, operation: number) => ({
      resourceType,
      resourceName,
      resourcePatternType: ResourcePatternTypes.LITERAL,
      principal: `User:${options.sasl.username}`,
      host: '*',
      operation,
      permissionType: AclPermissionTypes.DENY,
    });
    await (await admin()).createAcls({
      acl: [
        deny(AclResourceTypes.TOPIC, secret, AclOperationTypes.ALL),
        deny(AclResourceTypes.TOPIC, unwritable, AclOperationTypes.WRITE),
        deny(AclResourceTypes.GROUP, secretGroup, AclOperationTypes.ALL),
        deny(AclResourceTypes.TRANSACTIONAL_ID, id, AclOperationTypes.ALL),
      ],
    });
    const denied = { code: 'LOG_DENIED' };
    const other = await openLog(options);
    await expect(other.publish(numbered(secret, 1))).rejects.toMatchObject(denied);
    await expect(other.publish(numbered(unwritable, 1))).rejects.toMatchObject(denied);
    await expect(readAll(other, [secret])).rejects.toMatchObject(denied);
    await expect(other.transactional(id)).rejects.toMatchObject(denied);
    await expect(other.subscribe({ group: secretGroup, topics: [open] })).rejects.toMatchObject(denied);
    await expect(other.lag(secretGroup, [open])).rejects.toMatchObject(denied);
    const handled: LogRecord[] = [];
    await other.subscribe({
      group,
      topics: [open],
      onBatch: async ({ records }) => void handled.push(...records),
    });
    await other.publish(numbered(open, 5));
    await until('the rest works', () => handled.length === 6);
    expect(texts(handled).slice(1)).toEqual(texts(await readAll(other, [open])).slice(1));
    expect(warnings).toEqual([]);
  });
});
