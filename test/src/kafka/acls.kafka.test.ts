import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { archivedTopics, topics } from '@rlhf-streams/events';
import { type KafkaCluster, startKafka, unlessUnavailable } from '@rlhf-streams/kafka-broker';
import '@rlhf-streams/kafka-broker/vitest';
import { openLog, topicSpecsFor } from '@rlhf-streams/service';
import kafkajs from 'kafkajs';
import { openClient, type Processes, type ServiceName, startProcesses } from 'rlhf-streams';
import { afterAll, beforeAll, beforeEach, describe, expect, inject, it } from 'vitest';
import {
  tinyComparisons,
  tinyDpo,
  tinyPpo,
  tinyReward,
  tinySft,
  writeReviews,
} from '../platform/tiny-runs.js';
import { accessListOf, type Permissions, provisioning, readPermissions } from './access-lists.js';
import { completeInTurn, ledgerOf, undisturbed } from './ledger.js';
import { environmentOn, logsIn } from './services.js';

const TIMEOUT_MS = 240_000;
const PREFIX = 'team.';
const PROVISIONER = 'provisioner';
const CLI = 'cli';

describe.skipIf(!inject('kafka'))('with no permissions but those of infra/ACLS.md', () => {
  let permissions: Permissions[];
  let folder: string;
  let caFile: string;
  let cluster: KafkaCluster | undefined;

  /** Settings to come as a user. */
  const as = (user: string): Record<string, string> => ({
    ...environmentOn(cluster!.brokers),
    KAFKA_PREFIX: PREFIX,
    KAFKA_TLS: 'true',
    KAFKA_TLS_CA_FILE: caFile,
    KAFKA_SASL_MECHANISM: 'plain',
    KAFKA_SASL_USERNAME: user,
    KAFKA_SASL_PASSWORD: cluster!.security!.password,
  });

  beforeAll(async () => {
    permissions = await readPermissions();
    folder = await mkdtemp(join(tmpdir(), 'acls-'));
    const start = () =>
      startKafka({
        secure: true,
        users: [PROVISIONER, ...permissions.map(({ user }) => user)],
        settings: {
          'authorizer.class.name': 'org.apache.kafka.metadata.authorizer.StandardAuthorizer',
          // The brokers among themselves, and who gives the permissions.
          'super.users': 'User:ANONYMOUS;User:rlhf-streams',
        },
      });
    cluster = await unlessUnavailable(start, (reason) => `Tests of permissions are skipped: ${reason}`);
    if (!cluster) return;
    const { ca, username, password } = cluster.security!;
    caFile = cluster.security!.caFile;
    const admin = new kafkajs.Kafka({
      brokers: cluster.brokers,
      ssl: { ca },
      sasl: { mechanism: 'plain', username, password },
      logLevel: kafkajs.logLevel.NOTHING,
    }).admin();
    await admin.connect();
    const acl = permissions.flatMap((each) => accessListOf(each, PREFIX));
    await admin.createAcls({ acl: [...acl, ...provisioning(PROVISIONER, PREFIX)] });
    await admin.disconnect();

    const log = await openLog(as(PROVISIONER));
    await log.ensureTopics(await topicSpecsFor({}), { settings: true });
    expect(await log.planTopics(await topicSpecsFor({}))).toEqual([]);
    await log.close();
    // Everyone meets records that are no events.
    const writer = await openLog(as(username));
    const poison = Object.keys(topics).filter((topic) => topic !== 'dead-letters');
    await writer.publish(poison.map((topic) => ({ topic, key: 'poison', value: 'no event' })));
    await writer.close();
  }, TIMEOUT_MS);
  afterAll(async () => {
    await cluster?.stop();
    await rm(folder, { recursive: true });
  }, TIMEOUT_MS);
  beforeEach(({ skip }) => {
    if (!cluster) skip();
  });

  it(
    'runs of every method end in the same bits',
    async () => {
      const data = await writeReviews(folder);
      const comparisons = tinyComparisons(data);
      const runs = [tinySft(data), comparisons, tinyReward(), tinyPpo(data, 'run:sft'), tinyDpo()];
      const expected = await undisturbed(join(folder, 'embedded'), runs);
      const directory = join(folder, 'kafka');
      const users = permissions.map(({ user }) => user).filter((user) => user !== CLI) as ServiceName[];
      const services: Processes[] = [];
      try {
        const none = Object.fromEntries(users.map((user) => [user, 0]));
        for (const user of users) {
          const environment = { ...process.env, ...as(user) };
          services.push(await startProcesses({ directory, environment, replicas: { ...none, [user]: 1 } }));
        }
        const client = await openClient({ directory, environment: as(CLI) });
        try {
          await completeInTurn(client, runs);
        } catch (error) {
          throw new Error(`${(error as Error).message}\n${await logsIn(directory)}`, { cause: error });
        } finally {
          await client.close();
        }
        const { username } = cluster!.security!;
        const reader = await openClient({ directory, environment: as(username) });
        const { deadLetters, ...came } = await ledgerOf(reader).finally(() => reader.close());
        expect({ ...came, deadLetters: [] }).toEqual(expected);
        expect(new Set(deadLetters.map(({ key }) => key))).toEqual(new Set(['poison']));
        const rejecting = new Set(deadLetters.map(({ service }) => service));
        expect([...rejecting]).toEqual(expect.arrayContaining(permissions.map(({ user }) => user)));
      } finally {
        await Promise.all(services.map((each) => each.close()));
      }
    },
    TIMEOUT_MS,
  );

  it(
    'nobody can write elsewhere, nor take the place of another',
    async () => {
      const denied = { code: 'LOG_DENIED' };
      const trimmable = archivedTopics.filter((name) => topics[name].cleanup === 'delete');
      for (const { user, writes, deletes, groups, transactionalIds } of permissions) {
        const log = await openLog(as(user));
        try {
          for (const topic of Object.keys(topics).filter((name) => !writes.includes(name)))
            await expect(log.publish([{ topic, key: 'key', value: '{}' }])).rejects.toMatchObject(denied);
          const { latest } = await log.positions(Object.keys(topics));
          for (const topic of trimmable.filter((name) => !deletes.includes(name)))
            await expect(log.trim({ [topic]: latest[topic]! })).rejects.toMatchObject(denied);
          const [other] = permissions.filter((each) => each.user !== user && each.groups.length > 0);
          const [group] = other!.groups.filter((name) => !groups.includes(name));
          await expect(log.subscribe({ group: group!, topics: ['runs'] })).rejects.toMatchObject(denied);
          const id = transactionalIds.includes('optimizer/') ? 'coordinator/ppo' : 'optimizer/ppo';
          await expect(log.transactional(id)).rejects.toMatchObject(denied);
        } finally {
          await log.close();
        }
      }
      const { deletes } = permissions.find(({ user }) => user === 'coordinator')!;
      const log = await openLog(as('coordinator'));
      const { latest } = await log.positions(deletes);
      await log.trim(latest).finally(() => log.close());
    },
    TIMEOUT_MS,
  );
});
