import { setTimeout as pause } from 'node:timers/promises';
import { Kafka, type KafkaConfig, logLevel } from 'kafkajs';
import type { BrokerHost, HostedBroker, KafkaSecurity } from './cluster.js';
import { KafkaBrokerError } from './errors.js';

const START_TIMEOUT_MS = 90_000;
const POLL_MS = 100;

/**
 * Waits until `broker` answers a metadata request with itself and every other running broker of its host.
 * @throws KafkaBrokerError KAFKA_BROKER_FAILED, with the end of its log, when it ends or 90 s have passed.
 */
export async function untilReady(broker: HostedBroker, host: BrokerHost): Promise<void> {
  const deadline = Date.now() + START_TIMEOUT_MS;
  for (;;) {
    const answer = await liveNodes([broker.address], host.security);
    if ('ids' in answer) {
      const running = await Promise.all(host.brokers.map((other) => other.running()));
      if (host.brokers.every(({ id }, i) => !running[i] || answer.ids.includes(id))) return;
    }
    if (!(await broker.running())) throw await failure(broker, 'it ended');
    if (Date.now() > deadline) {
      const last = 'ids' in answer ? `it knew nodes ${answer.ids.join(', ')}` : answer.error.message;
      throw await failure(broker, `${START_TIMEOUT_MS / 1000} s have passed; last, ${last}`);
    }
    await pause(POLL_MS);
  }
}

/** The ids of the registered, unfenced brokers, as known to the first of `brokers` that answers; or why none does. */
export async function liveNodes(
  brokers: readonly string[],
  security?: KafkaSecurity,
): Promise<{ ids: number[] } | { error: Error }> {
  const client = new Kafka({
    brokers: [...brokers],
    connectionTimeout: 2_000,
    authenticationTimeout: 5_000,
    requestTimeout: 5_000,
    retry: { retries: 0 },
    logLevel: logLevel.NOTHING,
    ...(security && withSecurity(security)),
  });
  const admin = client.admin();
  try {
    await admin.connect();
    const cluster = await admin.describeCluster();
    return { ids: cluster.brokers.map(({ nodeId }) => nodeId) };
  } catch (error) {
    return { error: error as Error };
  } finally {
    await admin.disconnect();
  }
}

const withSecurity = ({ ca, username, password }: KafkaSecurity): Partial<KafkaConfig> => ({
  ssl: { ca },
  sasl: { mechanism: 'scram-sha-256', username, password },
});

async function failure(broker: HostedBroker, why: string): Promise<KafkaBrokerError> {
  return new KafkaBrokerError(
    'KAFKA_BROKER_FAILED',
    `expected Kafka node ${broker.id} to answer at ${broker.address}, but ${why}. The end of its log:\n${await broker.log()}`,
  );
}
