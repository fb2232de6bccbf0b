import '@rlhf-streams/kafka-broker/vitest';
import type { EventLog, LogError, LogRecord } from '@rlhf-streams/log';
import { gate, sum } from '@rlhf-streams/log/conformance';
import { describe, expect, inject, it, onTestFinished } from 'vitest';
import {
  newTopic,
  numbered,
  openLog,
  TEST_TIMEOUT_MS,
  textOf,
  texts,
  uniqueName,
  until,
  watchRequests,
  watchSockets,
} from '../broker.test.support.js';
import { kafkaSettings } from '../options.js';
import { otherClient } from '../wire/client.test.support.js';
import { openWire } from '../wire/wire.js';

const kafka = inject('kafka');

describe.skipIf(!kafka)('members of a group', { timeout: TEST_TIMEOUT_MS }, () => {
  const brokers = kafka?.brokers ?? [];
  const lag = async (log: EventLog, group: string, topic: string) =>
    sum((await log.lag(group, [topic]))[topic]!);

  async function collector(log: EventLog, group: string, topics: readonly string[]) {
    const records: LogRecord[] = [];
    const subscription = await log.subscribe({
      group,
      topics,
      onBatch: async (batch) => void records.push(...batch.records),
    });
    return { records, subscription };
  }

  /** Removes every member from the group, as the coordinator knows it. */
  async function evict(group: string): Promise<void> {
    const admin = await otherClient(brokers).admin();
    const { groups } = await admin.describeGroups([group]);
    const wire = openWire(kafkaSettings({ brokers }));
    onTestFinished(() => wire.close());
    const coordinator = await wire.coordinator('group', group);
    for (const { memberId } of groups[0]!.members) await coordinator.leaveGroup({ groupId: group, memberId });
  }

  it('stay it while a handler is busy for three session timeouts', async () => {
    const { onDebug, count } = watchRequests();
    const busy = await openLog({ brokers, sessionTimeoutMs: 2_000, onDebug });
    const idle = await openLog({ brokers, sessionTimeoutMs: 2_000 });
    const [topic, group] = [await newTopic(busy, 2), uniqueName('group')];
    const goOn = gate();
    const handled: string[] = [];
    let assignments = 0;
    const options = { group, topics: [topic], onAssigned: () => void assignments++ };
    const first = await busy.subscribe({
      ...options,
      async onBatch({ records }) {
        handled.push(...texts(records));
        await goOn.opened;
      },
    });
    const second = await idle.subscribe({
      ...options,
      onBatch: async ({ records }) => void handled.push(...texts(records)),
    });
    const sizes = () => [first, second].map((member) => member.assignment().length);
    await until('each has a partition', () => sizes().join() === '1,1');
    await busy.publish(numbered(topic, 20));
    await until('all are delivered', () => handled.length === 20);
    const before = [assignments, count('Heartbeat')] as const;
    // A member sends a heartbeat each quarter of a session timeout.
    await until('it has said twelve times that it lives', () => count('Heartbeat') >= before[1] + 12);
    goOn.open();
    await until('all is committed', async () => (await lag(busy, group, topic)) === 0);
    expect(assignments).toBe(before[0]);
    expect(handled).toHaveLength(20);
  });

  it('that the group went on without stop, may commit no more, and come back', async () => {
    const log = await openLog({ brokers, sessionTimeoutMs: 3_000 });
    const [topic, group] = [await newTopic(log), uniqueName('group')];
    await log.publish(numbered(topic, 4));
    const story: string[] = [];
    await log.subscribe({
      group,
      topics: [topic],
      onAssigned: () => void story.push('assigned'),
      onRevoked: async () => void story.push('revoked'),
      async onBatch({ records }, { signal, commit }) {
        const isFirst = !story.includes('handling');
        story.push('handling');
        if (!isFirst) return;
        await commit(records[0]!);
        await evict(group);
        await until('it is told', () => signal.aborted);
        story.push(
          await commit(records[3]!).then(
            () => 'committed',
            (error: LogError) => error.code,
          ),
        );
      },
    });
    await until('all is committed', async () => (await lag(log, group, topic)) === 0);
    expect(story).toEqual(['assigned', 'handling', 'LOG_REVOKED', 'revoked', 'assigned', 'handling']);
  });

  it('lose a partition whose handler does not stop, and may not commit for it any more', async () => {
    const log = await openLog({ brokers, sessionTimeoutMs: 3_000 });
    const [topic, group] = [await newTopic(log), uniqueName('group')];
    await log.publish(numbered(topic, 3));
    const [begun, goOn] = [gate(), gate()];
    const outcome: string[] = [];
    const stubborn = await log.subscribe({
      group,
      topics: [topic],
      revokeTimeoutMs: 20,
      onError: (error) => void outcome.push((error as LogError).code),
      async onBatch({ records }, { commit }) {
        begun.open();
        await goOn.opened;
        outcome.push(
          await commit(records[0]!).then(
            () => 'committed',
            (error: LogError) => error.code,
          ),
        );
      },
    });
    await begun.opened;
    const closed = stubborn.close();
    const { records } = await collector(log, group, [topic]);
    await closed;
    await until('another has handled all', async () => (await lag(log, group, topic)) === 0);
    expect(outcome).toEqual(['LOG_REVOKE_TIMEOUT']);
    expect(texts(records)).toEqual(['record 0', 'record 1', 'record 2']);
    goOn.open();
    await until('it has tried', () => outcome.length === 2);
    expect(outcome).toEqual(['LOG_REVOKE_TIMEOUT', 'LOG_REVOKED']);
    expect(await lag(log, group, topic)).toBe(0);
  });

  it('get every record while their connections are cut', async () => {
    const sockets = watchSockets();
    const logs = [
      await openLog({ brokers, sessionTimeoutMs: 3_000 }),
      await openLog({ brokers, sessionTimeoutMs: 3_000 }),
    ];
    const [topic, group] = [await newTopic(logs[0]!, 4), uniqueName('group')];
    const members = await Promise.all(logs.map((log) => collector(log, group, [topic])));
    const sizes = () => members.map(({ subscription }) => subscription.assignment().length);
    await until('they share the partitions', () => sizes().join() === '2,2');
    const all = () => new Set(members.flatMap(({ records }) => texts(records)));
    for (let round = 0; round < 8; round++) {
      await logs[0]!.publish(numbered(topic, 20, `${round}/`));
      sockets.cut();
      await until('all is handled', () => all().size === 20 * (round + 1));
    }
    await until('and committed', async () => (await lag(logs[1]!, group, topic)) === 0);
  });

  it('are known by the name of their client', async () => {
    const log = await openLog({ brokers, clientId: 'a-service' });
    const [topic, group] = [await newTopic(log), uniqueName('group')];
    const { subscription } = await collector(log, group, [topic]);
    await until('it is a member', () => subscription.assignment().length === 1);
    const admin = await otherClient(brokers).admin();
    const { groups } = await admin.describeGroups([group]);
    expect(groups[0]!.members.map(({ clientId }) => clientId)).toEqual(['a-service']);
  });

  it('are none of a log that closed while they joined', async () => {
    const sockets = watchSockets();
    const log = await openLog({ brokers });
    const topic = await newTopic(log);
    const early = log.subscribe({ group: uniqueName('group'), topics: [topic], onBatch: async () => {} });
    const refused = expect(early).rejects.toMatchObject({ code: 'LOG_CLOSED' });
    await log.close();
    await refused;
    const again = await openLog({ brokers });
    const subscription = await again.subscribe({
      group: uniqueName('group'),
      topics: [topic],
      onBatch: async () => {},
    });
    await again.close();
    expect(subscription.assignment()).toEqual([]);
    await until('no connection is left', () => sockets.open().length === 0);
  });

  it('of different logs in a process get what is published by either', async () => {
    const log = await openLog({ brokers, sessionTimeoutMs: 3_000 });
    const [topic, group] = [await newTopic(log, 2), uniqueName('group')];
    const members = [await collector(log, group, [topic]), await collector(log, group, [topic])];
    await until('they share the partitions', () =>
      members.every(({ subscription }) => subscription.assignment().length === 1),
    );
    await log.publish(numbered(topic, 40));
    const all = () => members.flatMap(({ records }) => records.map(textOf));
    await until('all is handled', () => all().length === 40);
    expect(new Set(all()).size).toBe(40);
    expect(members.every(({ records }) => records.length > 0)).toBe(true);
  });
});
